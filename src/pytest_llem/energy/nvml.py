"""NVML as the rest uses it: opened on demand, its errors turned into MeterError, its optional answers into None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_llem.errors import MeterError

MIG_HINT = (
    "an MIG slice has no power meter of its own, so its energy cannot be told from its neighbours'; "
    "use a whole GPU (nvidia-smi -mig 0)"
)


def library() -> Any:
    """The ``pynvml`` module with NVML initialised; raises MeterError with what to do.

    NVML counts its initialisations and creates no CUDA context: calling this often is cheap and leaves GPUs alone.
    """
    try:
        import pynvml
    except ImportError:
        raise MeterError("pynvml is not installed", hint="pip install nvidia-ml-py") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeterError(f"NVML does not work here: {error}", hint=_hint(pynvml, error)) from None
    return pynvml


def _hint(pynvml: Any, error: Exception) -> str:
    if isinstance(error, pynvml.NVMLError_LibraryNotFound):
        return "no NVIDIA driver on this machine, or, in a container, it was started without the GPU (--gpus all)"
    if isinstance(error, pynvml.NVMLError_NoPermission):
        return "this user may not open /dev/nvidiactl"
    return "does nvidia-smi work?"


def optional(pynvml: Any, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a call answers, or None where this GPU or driver does not support it. A lost GPU raises MeterError."""
    try:
        return call(*arguments, **named)
    except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_Uninitialized) as error:
        raise MeterError(f"GPU lost: {error}", hint="see dmesg for an Xid message of the driver") from None
    except (pynvml.NVMLError, AttributeError):
        return None  # AttributeError: an older pynvml without this call


def text(value: str | bytes) -> str:
    """Older versions of pynvml answer bytes."""
    return value.decode() if isinstance(value, bytes) else value


def mig_enabled(pynvml: Any, handle: Any) -> bool:
    """Whether a GPU is cut into MIG slices."""
    modes = optional(pynvml, pynvml.nvmlDeviceGetMigMode, handle)
    return modes is not None and modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE
