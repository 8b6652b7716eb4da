"""NVML as the rest uses it: opened on demand, its errors turned into MeterError, what a GPU cannot tell into None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_llem.errors import MeterError

MIG_HINT = (
    "an MIG slice has no power meter of its own, so its energy cannot be told from its neighbours'; "
    "use a whole GPU (nvidia-smi -mig 0)"
)
LOST_HINT = "see dmesg for an Xid message of the driver"
SM_CLOCK, MEMORY_CLOCK = 1, 2  # NVML_CLOCK_SM, NVML_CLOCK_MEM


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
        hints = {
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver on this machine, or, in a container, it was started "
            "without the GPU (--gpus all)",
            pynvml.NVML_ERROR_NO_PERMISSION: "this user may not open /dev/nvidiactl",
        }
        hint = hints.get(error.value, "does nvidia-smi work?")
        raise MeterError(f"NVML does not work here: {error}", hint=hint) from None
    return pynvml


@dataclass(frozen=True)
class Driver:
    """Versions of NVIDIA's driver and of the newest CUDA that it supports."""

    version: str
    cuda: str | None


def driver() -> Driver | None:
    """None on a machine without."""
    try:
        pynvml = library()
    except MeterError:
        return None
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2")  # 13000 is 13.0
    version = None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}"
    return Driver(pynvml.nvmlSystemGetDriverVersion(), version)


def ask(call: str, *arguments: Any, **named: Any) -> Any:
    """What a call to the opened library answers, or None where this GPU or driver does not support it. A lost GPU
    raises MeterError."""
    import pynvml

    try:
        return getattr(pynvml, call)(*arguments, **named)
    except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_Uninitialized) as error:
        raise MeterError(f"GPU lost: {error}", hint=LOST_HINT) from None
    except pynvml.NVMLError:
        return None


def scaled(factor: float, call: str, *arguments: Any) -> float | None:
    """The same for a number in a unit of its own: milliwatts, megahertz."""
    value = ask(call, *arguments)
    return None if value is None else value * factor


def used_memory_bytes(handle: Any) -> int | None:
    """Memory in use, without what the driver keeps for itself, which version 1 of this call counts as used: 645 MB on
    an idle H200. None on a driver without version 2."""
    import pynvml

    memory = ask("nvmlDeviceGetMemoryInfo", handle, version=pynvml.nvmlMemory_v2)
    return None if memory is None else int(memory.used)


def temperature_c(handle: Any) -> float | None:
    """Of the GPU's core."""
    return ask("nvmlDeviceGetTemperature", handle, 0)  # type: ignore[no-any-return]  # NVML_TEMPERATURE_GPU


def mig_enabled(handle: Any) -> bool:
    """Whether a GPU is cut into MIG slices."""
    modes = ask("nvmlDeviceGetMigMode", handle)
    return modes is not None and modes[0] == 1  # NVML_DEVICE_MIG_ENABLE


_THROTTLE_REASONS = {  # nvml.h, nvmlClocksEventReasons
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
_NOT_REPEATABLE = 0x020 | 0x040 | 0x008 | 0x080  # because of heat, or by the hardware's own protection


def throttle_reasons(mask: int | None) -> tuple[str, ...]:
    """Why clocks are below what the workload would get, from NVML's bit mask, lowest bit first."""
    bits = [1 << position for position in range((mask or 0).bit_length())]
    return tuple(_THROTTLE_REASONS.get(bit, f"0x{bit:x}") for bit in bits if (mask or 0) & bit)


def is_throttled(mask: int | None) -> bool:
    """Whether a figure is not repeatable. A power limit that is kept to is usual, and part of what is measured."""
    return bool((mask or 0) & _NOT_REPEATABLE)
