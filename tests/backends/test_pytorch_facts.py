"""Counts of loaded modules, against counts done by hand."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llem.backends.pytorch_facts import attention_flops_per_pair, count, kv_bytes_per_token


def meta(config: Any) -> Any:
    """The model without storage."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def llama(**fields: Any) -> Any:
    from transformers import LlamaConfig

    sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3}
    return LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, **fields)


LAYER = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 80  # q, k and v of half as many heads, o; gate, up, down
NORMS = (2 * 3 + 1) * 32


@pytest.mark.parametrize("tied", [True, False])
def test_an_output_layer_is_computed_whether_or_not_it_shares_the_embedding_s_weights(tied: bool) -> None:
    model = meta(llama(tie_word_embeddings=tied))
    embeddings = 3200 if tied else 6400
    counts = count(model)
    assert counts.parameters == counts.active == 3 * LAYER + NORMS + embeddings
    assert counts.flops_per_token == 2 * (3 * LAYER + 3200)
    assert model.get_memory_footprint(return_buffers=False) == 4 * counts.parameters


def test_a_grouped_cache_holds_only_its_own_heads() -> None:
    config = llama()
    assert kv_bytes_per_token(config, 2) == 2 * 2 * 8 * 3 * 2
    assert attention_flops_per_pair(config) == 4 * 4 * 8 * 3


def test_a_head_may_be_wider_than_its_share() -> None:
    config = llama(head_dim=24)
    assert kv_bytes_per_token(config, 2) == 2 * 2 * 24 * 3 * 2
    assert attention_flops_per_pair(config) == 4 * 4 * 24 * 3


def test_gpt2_s_transposed_layers_are_products_and_its_positions_are_not() -> None:
    from transformers import GPT2Config

    counts = count(meta(GPT2Config(vocab_size=100, n_positions=50, n_embd=32, n_layer=2, n_head=4)))
    layer = 32 * 96 + 32 * 32 + 2 * 32 * 128
    assert counts.flops_per_token == 2 * (2 * layer + 100 * 32)


def test_a_token_meets_only_the_experts_that_it_is_sent_to() -> None:
    from transformers import MixtralConfig

    sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3}
    config = MixtralConfig(
        **sizes, num_attention_heads=4, num_key_value_heads=2, num_local_experts=8, num_experts_per_tok=2
    )
    counts = count(meta(config))
    attention = 2 * 32 * 32 + 2 * 32 * 16
    expert, router = 3 * 32 * 80, 32 * 8
    assert counts.parameters == 3 * (attention + router + 8 * expert) + NORMS + 6400
    assert counts.active == 3 * (attention + router + 2 * expert) + NORMS + 6400
    assert counts.flops_per_token == 2 * (3 * (attention + router + 2 * expert) + 3200)


def test_unknown_routing_is_unknown_and_not_zero() -> None:
    from transformers import MixtralConfig

    sizes = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 1}
    model = meta(MixtralConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, num_local_experts=4))
    model.config.num_experts_per_tok = 0
    counts = count(model)
    assert counts.parameters > 0
    assert (counts.active, counts.flops_per_token) == (None, None)


def test_latent_and_recurrent_attention_have_no_such_cache() -> None:
    from transformers import DeepseekV3Config, MambaConfig

    for config in (DeepseekV3Config(), MambaConfig()):
        assert kv_bytes_per_token(config, 2) is None
        assert attention_flops_per_pair(config) is None


def test_only_layers_that_attend_are_counted() -> None:
    from transformers import Qwen3NextConfig

    config = Qwen3NextConfig(num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    attending = config.layer_types.count("full_attention")
    assert 0 < attending < 8
    assert kv_bytes_per_token(config, 2) == 2 * 2 * 16 * attending * 2
