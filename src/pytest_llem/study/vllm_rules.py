"""What the ``vllm`` section's fields demand of each other, found before anything is loaded, in vLLM's own words.

Only what vLLM would refuse for certain is refused here; a rule that hangs on the model is left to vLLM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from pytest_llem.study import vllm_audit as audit

if TYPE_CHECKING:
    from pytest_llem.study.vllm import VllmBeamSearch, VllmEngine, VllmSampling

Updates = dict[str, JsonValue]


def check_engine(engine: VllmEngine) -> None:
    """Raise ValueError with everything in ``engine`` that cannot work together."""
    problems = [problem for rule in _ENGINE_RULES if (problem := rule(engine))]
    problems += _extra(engine.extra, type(engine).model_fields, audit.ENGINE_SET, "engine")
    _refuse(problems)


def check_sampling(sampling: VllmSampling) -> None:
    """Raise ValueError with everything in ``sampling`` that cannot work together."""
    problems = _extra(sampling.extra, type(sampling).model_fields, audit.SAMPLING_SET, "sampling")
    if sampling.temperature == 0 and sampling.n is not None and sampling.n > 1:
        problems.append(f"n must be 1 when using greedy sampling, got {sampling.n}.")
    _refuse(problems)


def check_beam_search(beam_search: VllmBeamSearch) -> None:
    """Raise ValueError with everything in ``beam_search`` that cannot work together."""
    _refuse(_extra(beam_search.extra, type(beam_search).model_fields, audit.BEAM_SEARCH_SET, "beam_search"))


def dormant_engine(engine: VllmEngine) -> Updates:
    """Fields that have no effect beside the others."""
    off: list[str] = []
    if engine.enforce_eager:
        off += ["cudagraph_capture_sizes", "max_cudagraph_capture_size"]
    if engine.kv_cache_memory_bytes is not None:
        off.append("gpu_memory_utilization")
    if not engine.offload_group_size and engine.offload_backend != "prefetch":
        off += ["offload_num_in_group", "offload_prefetch_step"]
    if not engine.kv_offloading_size:
        off.append("kv_offloading_backend")
    return dict.fromkeys(off)


def dormant_sampling(sampling: VllmSampling) -> Updates:
    """Fields that have no effect: what chooses among tokens under greedy decoding, and what says what holds anyway."""
    same_as_unset: dict[str, tuple[object, ...]] = {
        "top_p": (1.0,),
        "top_k": (0, -1),
        "min_p": (0.0,),
        "n": (1,),
        "presence_penalty": (0.0,),
        "frequency_penalty": (0.0,),
        "repetition_penalty": (1.0,),
        "min_tokens": (0,),
        "stop": ([],),
        "stop_token_ids": ([],),
    }
    off = [name for name, values in same_as_unset.items() if getattr(sampling, name) in values]
    if sampling.temperature == 0:
        off += ["top_p", "top_k", "min_p", "seed"]
    return dict.fromkeys(off)


def _extra(extra: Mapping[str, JsonValue], fields: Iterable[str], taken: Mapping[str, str], group: str) -> list[str]:
    """``extra`` must not say what another key says, or what the backend itself decides."""
    problems = [f"extra: `{name}` is a field of its own, vllm.{group}.{name}" for name in extra if name in set(fields)]
    problems += [f"extra: `{name}` cannot be set here: {taken[name]}" for name in extra if name in taken]
    return problems


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))


def _batch_holds_a_sequence(e: VllmEngine) -> str | None:
    tokens, length = e.max_num_batched_tokens, e.max_model_len
    if e.enable_chunked_prefill is not False or tokens is None or length is None or tokens >= length:
        return None
    return (
        f"max_num_batched_tokens ({tokens}) is smaller than max_model_len ({length}). This effectively limits the "
        "maximum sequence length to max_num_batched_tokens and makes vLLM reject longer sequences. Please increase "
        "max_num_batched_tokens or decrease max_model_len."
    )


def _batch_holds_all_requests(e: VllmEngine) -> str | None:
    tokens, requests = e.max_num_batched_tokens, e.max_num_seqs
    if tokens is None or requests is None or tokens >= requests:
        return None
    return f"max_num_batched_tokens ({tokens}) must be greater than or equal to max_num_seqs ({requests})."


def _threshold_within_length(e: VllmEngine) -> str | None:
    threshold, length = e.long_prefill_token_threshold, e.max_model_len
    if threshold is None or length is None or threshold <= length:
        return None
    return f"long_prefill_token_threshold ({threshold}) cannot be greater than the max_model_len ({length})."


def _one_process_one_copy(e: VllmEngine) -> str | None:
    if e.data_parallel_size is None or e.data_parallel_size == 1:
        return None
    return f"LLM(data_parallel_size={e.data_parallel_size}) is not supported for single-process usage and may hang."


def _offloaded_part_of_group(e: VllmEngine) -> str | None:
    group, part = e.offload_group_size or 0, e.offload_num_in_group or 1
    if (e.offload_backend != "prefetch" and group == 0) or part <= group:
        return None
    return f"offload_num_in_group ({part}) must be <= offload_group_size ({group})"


def _prefetch_ahead(e: VllmEngine) -> str | None:
    if not e.offload_group_size or e.offload_prefetch_step is None or e.offload_prefetch_step >= 1:
        return None
    return (
        f"offload_prefetch_step ({e.offload_prefetch_step}) must be >= 1 when prefetch offloading is enabled "
        "(offload_group_size > 0)"
    )


def _said_once(e: VllmEngine) -> str | None:
    for name, group, key in (
        ("cudagraph_capture_sizes", "compilation_config", "cudagraph_capture_sizes"),
        ("max_cudagraph_capture_size", "compilation_config", "max_cudagraph_capture_size"),
        ("attention_backend", "attention_config", "backend"),
        ("enable_flashinfer_autotune", "kernel_config", "enable_flashinfer_autotune"),
    ):
        if getattr(e, name) is not None and (getattr(e, group) or {}).get(key) is not None:
            return f"{name} and {group}.{key} are mutually exclusive"
    return None


def _experts_before_balancing(e: VllmEngine) -> str | None:
    if not e.enable_eplb or e.enable_expert_parallel:
        return None
    return "enable_expert_parallel must be True to use EPLB."


_ENGINE_RULES: tuple[Callable[[VllmEngine], str | None], ...] = (
    _batch_holds_a_sequence,
    _batch_holds_all_requests,
    _threshold_within_length,
    _one_process_one_copy,
    _offloaded_part_of_group,
    _prefetch_ahead,
    _said_once,
    _experts_before_balancing,
)
