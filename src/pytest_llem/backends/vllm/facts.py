"""What vLLM loaded: asked of its processes where they know, counted on the same architecture where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_llem.backends.base import ModelFacts
from pytest_llem.backends.models import has_random_weights
from pytest_llem.backends.pytorch_facts import Counts, count, model_facts
from pytest_llem.study.config import ExperimentConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_CACHE_BYTES = {"fp8": 1, "int8": 1, "float16": 2, "bfloat16": 2}  # by how the format's name begins


def loaded_facts(llm: Any, workers: Sequence[dict[str, Any]], config: ExperimentConfig, notes: list[str]) -> ModelFacts:
    """``workers``: what the probe said in each; empty where it could not be asked."""
    import vllm

    model, engine = llm.llm_engine.model_config, llm.llm_engine.vllm_config
    counts = _count(model.hf_config, workers, notes)
    facts = model_facts(
        model.hf_config,
        counts,
        _cache_element_bytes(str(engine.cache_config.cache_dtype), model.dtype),
        name=config.model.id,
        random_weights=has_random_weights(config.model.id) or str(engine.load_config.load_format) == "dummy",
        dtype=str(model.dtype).removeprefix("torch."),
        device=workers[0]["device"] if workers else str(engine.device_config.device_type),
        device_uuids=tuple(dict.fromkeys(worker["uuid"] for worker in workers if worker["uuid"])),
        weight_bytes=_weight_bytes(model, workers, counts),
        notes=tuple(notes),
    )
    return replace(facts, versions={"vllm": vllm.__version__, **facts.versions})


def end_ids(llm: Any) -> frozenset[int]:
    """The model's end tokens, by its generation settings and its configuration."""
    model = llm.llm_engine.model_config
    found: set[int] = set()
    for ids in (model.try_get_generation_config().get("eos_token_id"), getattr(model.hf_config, "eos_token_id", None)):
        found |= set(ids) if isinstance(ids, (list, tuple)) else set() if ids is None else {ids}
    return frozenset(found)


def _count(architecture: PretrainedConfig, workers: Sequence[dict[str, Any]], notes: list[str]) -> Counts:
    """Counted on transformers' model of the same configuration, which takes no memory: vLLM's own weights may be
    packed, padded or spread over processes."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return count(AutoModelForCausalLM.from_config(architecture))
    except Exception as error:  # an architecture that only vLLM knows; whatever transformers raises, loading went well
        notes.append(f"transformers cannot build this model to count it ({type(error).__name__}: {error})")
    if len(workers) != 1:
        return Counts()
    notes.append("parameters are those of vLLM's weights: packed or padded ones are counted as they are")
    return Counts(int(workers[0]["elements"]))


def _weight_bytes(model: Any, workers: Sequence[dict[str, Any]], counts: Counts) -> int | None:
    """As they lie on the GPUs. On the CPU vLLM moves matrices into a layout of its own, out of the model's sight."""
    if any(worker["uuid"] for worker in workers):
        return sum(int(worker["bytes"]) for worker in workers)
    if counts.parameters is None or model.quantization is not None:
        return None
    return counts.parameters * int(model.dtype.itemsize)


def _cache_element_bytes(cache_dtype: str, dtype: Any) -> int | None:
    if cache_dtype == "auto":
        return int(dtype.itemsize)
    return next((size for name, size in _CACHE_BYTES.items() if cache_dtype.startswith(name)), None)
