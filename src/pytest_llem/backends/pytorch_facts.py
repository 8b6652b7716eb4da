"""Counting a loaded model: parameters, bytes, floating-point operations. What a model does not tell stays None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llem.backends.base import ModelFacts

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

_ATTENTION_LAYERS = ("full_attention", "sliding_attention", "chunked_attention")
_EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True)
class Counts:
    """``parameters``: all, tied ones once. ``active``: those that one token meets. ``flops_per_token``: two for each
    parameter of a matrix product that one token meets; looking up an embedding is none, an output layer is one even
    where it shares the embedding's weights. The last two are None for a mixture of experts of unknown routing."""

    parameters: int | None = None
    active: int | None = None
    flops_per_token: float | None = None


def count(model: PreTrainedModel) -> Counts:
    """Count the modules as they were loaded, so that grouped queries and gated layers are exact."""
    from torch import nn

    seen: set[int] = set()
    everywhere = routed = products = routed_products = 0
    for name, module in model.named_modules():
        in_expert = "experts" in name.split(".")
        for weight in module.parameters(recurse=False):
            size = _size(module, weight)
            if id(weight) not in seen:
                seen.add(id(weight))
                everywhere += size
                routed += size * in_expert
            if size > max(weight.shape, default=0) and not isinstance(module, nn.Embedding):
                products += size
                routed_products += size * in_expert
    share = _active_share(model.config.get_text_config()) if routed else 1.0
    if share is None:
        return Counts(everywhere)
    idle = 1.0 - share
    return Counts(everywhere, round(everywhere - idle * routed), 2.0 * (products - idle * routed_products))


def model_facts(config: PretrainedConfig, counts: Counts, element_bytes: int | None, **known: Any) -> ModelFacts:
    """What follows from a model's configuration and its ``counts``, beside what its backend knows of it.

    ``element_bytes``: of one key or value in the cache, None where that is not known."""
    import torch
    import transformers

    text = config.get_text_config()
    cuda = {"cuda": torch.version.cuda} if torch.version.cuda else {}
    return ModelFacts(
        parameters=counts.parameters,
        active_parameters=counts.active,
        flops_per_token=counts.flops_per_token,
        attention_flops_per_token_pair=attention_flops_per_pair(text),
        kv_bytes_per_token=kv_bytes_per_token(text, element_bytes) if element_bytes else None,
        versions={"torch": torch.__version__, "transformers": transformers.__version__, **cuda},
        **known,
    )


def kv_bytes_per_token(config: PretrainedConfig, element_bytes: int) -> int | None:
    """Keys and values of one token in all layers; None where attention is of another kind (latent, recurrent)."""
    heads = getattr(config, "num_key_value_heads", None) or getattr(config, "num_attention_heads", None)
    head_dim = _head_dim(config)
    if not heads or head_dim is None:
        return None
    return 2 * int(heads) * head_dim * _attention_layers(config) * element_bytes


def attention_flops_per_pair(config: PretrainedConfig) -> float | None:
    """For one (query, key) pair, all layers: two for each element of the score, two for each of the weighted value."""
    head_dim = _head_dim(config)
    if head_dim is None:
        return None
    return 4.0 * int(config.num_attention_heads) * head_dim * _attention_layers(config)


def _size(module: nn.Module, weight: nn.Parameter) -> int:
    """Elements of a weight, also where quantisation packs several into a byte."""
    inside, outside = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if weight is getattr(module, "weight", None) and isinstance(inside, int) and isinstance(outside, int):
        return inside * outside
    return weight.numel()


def _active_share(config: PretrainedConfig) -> float | None:
    experts = next((int(number) for name in _EXPERT_COUNTS if (number := getattr(config, name, None))), None)
    chosen = getattr(config, "num_experts_per_tok", None)
    return int(chosen) / experts if experts and chosen else None


def _head_dim(config: PretrainedConfig) -> int | None:
    heads = getattr(config, "num_attention_heads", None)
    if not heads or getattr(config, "kv_lora_rank", None):
        return None
    return int(getattr(config, "head_dim", None) or config.hidden_size // heads)


def _attention_layers(config: PretrainedConfig) -> int:
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return int(config.num_hidden_layers)
    return sum(kind in _ATTENTION_LAYERS for kind in kinds)
