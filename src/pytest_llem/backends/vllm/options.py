"""From an experiment's configuration to the arguments of vLLM's ``LLM``, ``SamplingParams``, ``BeamSearchParams``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_llem.backends.models import has_random_weights, is_shape, model_source
from pytest_llem.errors import BackendError
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.vllm import VllmConfig

PROBE = "pytest_llem.backends.vllm.probe.Probe"
_MAX_LOGPROBS = 20  # vLLM's default


def vllm_section(config: ExperimentConfig) -> VllmConfig:
    """The experiment's section, with its defaults where it has none."""
    return config.vllm or VllmConfig()


def needs_text(config: ExperimentConfig) -> bool:
    """Whether vLLM needs the tokenizer: for texts that end an answer, and in its beam search."""
    section = vllm_section(config)
    return bool(section.sampling.stop) or section.beam_search is not None


def engine_arguments(config: ExperimentConfig) -> dict[str, Any]:
    """Keyword arguments of ``LLM``. A field that the study leaves out is not among them."""
    section = vllm_section(config)
    model, beams = config.model, section.beam_search
    arguments: dict[str, Any] = {
        "model": model_source(model.id),
        "seed": config.seed % 2**32,  # NumPy's generator, which vLLM seeds as well, takes no more
        "skip_tokenizer_init": not needs_text(config),
        "use_tqdm_on_load": False,
        "disable_log_stats": True,
        "worker_extension_cls": PROBE,
        "trust_remote_code": model.trust_remote_code,
    }
    if not has_random_weights(model.id) and model.revision is not None:
        arguments["revision"] = model.revision
    if model.tokenizer is not None:
        arguments["tokenizer"] = model_source(model.tokenizer)
    if model.dtype is not None:
        arguments["dtype"] = model.dtype
    if is_shape(model.id):
        arguments["load_format"] = "dummy"
    if beams is not None and 2 * beams.beam_width > _MAX_LOGPROBS:
        arguments["max_logprobs"] = 2 * beams.beam_width  # vLLM's beam search asks for that many
    return arguments | section.engine.model_dump(exclude={"extra"}, exclude_none=True) | section.engine.extra


def engine_key(config: ExperimentConfig) -> str:
    """Equal for experiments that differ in sampling, prompts, lengths or how they are measured only."""
    section = vllm_section(config).normalised()
    beams = section.beam_search
    return json.dumps(
        {
            "model": config.model.model_dump(mode="json"),
            "seed": config.seed,
            "engine": section.engine.model_dump(mode="json"),
            "text": needs_text(config),
            "beam_width": beams.beam_width if beams is not None else None,
        },
        sort_keys=True,
    )


def sampling_arguments(config: ExperimentConfig, end_ids: Iterable[int]) -> dict[str, Any]:
    """Keyword arguments of ``SamplingParams``, but for ``output_kind``. ``end_ids``: the model's end tokens."""
    sampling = vllm_section(config).sampling
    arguments: dict[str, Any] = {
        "max_tokens": config.max_output_tokens,
        "detokenize": bool(sampling.stop),
    }
    arguments |= sampling.model_dump(exclude={"extra"}, exclude_none=True) | sampling.extra
    if not sampling.ignore_eos:  # without its tokenizer, vLLM may not know them
        arguments["stop_token_ids"] = sorted({*(sampling.stop_token_ids or ()), *end_ids})
    return arguments


def beam_search_arguments(config: ExperimentConfig) -> dict[str, Any]:
    """Keyword arguments of ``BeamSearchParams``."""
    beams = vllm_section(config).beam_search
    assert beams is not None
    return {"max_tokens": config.max_output_tokens} | beams.model_dump(exclude={"extra"}) | beams.extra


def require_possible_length(config: ExperimentConfig) -> None:
    """Raise BackendError for an answer that must be longer than it may be; vLLM would say so for each request."""
    least, most = vllm_section(config).sampling.min_tokens, config.max_output_tokens
    if least is not None and least > most:
        raise BackendError(
            f"min_tokens must be less than or equal to max_tokens={most}, got {least}.",
            hint="raise max_output_tokens or lower vllm.sampling.min_tokens",
        )


def require_room(prompt: int, output: int, room: int) -> None:
    """Raise BackendError if a prompt of that many tokens and its answer do not fit; vLLM would cut the answer short."""
    if prompt + output > room:
        raise BackendError(
            f"The decoder prompt (length {prompt}) plus the number of requested output tokens ({output}) is longer "
            f"than the maximum model length of {room}.",
            hint="raise vllm.engine.max_model_len, or lower dataset.input_tokens or max_output_tokens",
        )
