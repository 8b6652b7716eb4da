"""Environment variables that vLLM reads: sensible values where the user set none, each of them said in the notes."""

from __future__ import annotations

import os
import shutil

from pytest_llem.backends.vllm.versions import for_cpu
from pytest_llem.study.vllm import VllmEngine

CPU_CACHE_GIB = "2"
_COMPILERS = ("c++", "g++", "clang++")


def prepare_environment(engine: VllmEngine) -> tuple[str, ...]:
    """Call before vLLM is imported. What the user set is never touched. Returns a note for each variable set here."""
    wanted = {"VLLM_NO_USAGE_STATS": "1"}  # a thread that reports over the network would be measured, too
    if for_cpu():
        if engine.kv_cache_memory_bytes is None and engine.gpu_memory_utilization is None:
            wanted["VLLM_CPU_KVCACHE_SPACE"] = CPU_CACHE_GIB  # else vLLM takes most of the host's memory
        if not os.environ.get("CXX") and not any(map(shutil.which, _COMPILERS)):
            wanted["TORCHDYNAMO_DISABLE"] = "1"  # else sampling fails: it is compiled to C++
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    return tuple(f"environment: {name}={value} was set, since it was not" for name, value in missing.items())
