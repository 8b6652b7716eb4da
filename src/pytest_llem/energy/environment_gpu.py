"""The GPUs' part of an environment snapshot, from NVML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_llem.energy import nvml
from pytest_llem.errors import MeterError


@dataclass(frozen=True)
class Driver:
    """Versions of NVIDIA's driver and of the newest CUDA that it supports."""

    version: str
    cuda: str | None


@dataclass(frozen=True)
class GpuFacts:
    """One GPU. None: this GPU or driver does not say."""

    uuid: str
    name: str
    vbios: str | None
    memory_bytes: int
    power_limit_w: float | None
    default_power_limit_w: float | None
    max_sm_clock_hz: float | None
    max_memory_clock_hz: float | None
    sm_clock_hz: float | None
    persistence_mode: bool | None
    ecc: bool | None
    mig: bool

    def lasting(self) -> list[object]:
        """What makes one GPU measure unlike another: not its UUID, not its clocks at this moment."""
        limits = [self.power_limit_w, self.max_sm_clock_hz, self.max_memory_clock_hz]
        return [self.name, self.vbios, self.memory_bytes, *limits, self.persistence_mode, self.ecc, self.mig]


def gpu_facts() -> tuple[Driver | None, tuple[GpuFacts, ...]]:
    """Driver and GPUs; (None, ()) on a machine without."""
    try:
        pynvml = nvml.library()
    except MeterError:
        return None, ()
    cuda = nvml.optional(pynvml, pynvml.nvmlSystemGetCudaDriverVersion_v2)
    driver = Driver(
        version=nvml.text(pynvml.nvmlSystemGetDriverVersion()),
        cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",  # 13000 is 13.0
    )
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    return driver, tuple(_facts(pynvml, handle) for handle in handles)


def _facts(pynvml: Any, handle: Any) -> GpuFacts:
    def ask(call: str, *arguments: Any) -> Any:
        return nvml.optional(pynvml, getattr(pynvml, call, _missing), handle, *arguments)

    vbios = ask("nvmlDeviceGetVbiosVersion")
    persistence, ecc = ask("nvmlDeviceGetPersistenceMode"), ask("nvmlDeviceGetEccMode")
    return GpuFacts(
        uuid=nvml.text(pynvml.nvmlDeviceGetUUID(handle)),
        name=nvml.text(pynvml.nvmlDeviceGetName(handle)),
        vbios=None if vbios is None else nvml.text(vbios),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        power_limit_w=_scaled(ask("nvmlDeviceGetEnforcedPowerLimit"), 1e-3),
        default_power_limit_w=_scaled(ask("nvmlDeviceGetPowerManagementDefaultLimit"), 1e-3),
        max_sm_clock_hz=_scaled(ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM), 1e6),
        max_memory_clock_hz=_scaled(ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_MEM), 1e6),
        sm_clock_hz=_scaled(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM), 1e6),
        persistence_mode=None if persistence is None else bool(persistence),
        ecc=None if ecc is None else bool(ecc[0]),
        mig=nvml.mig_enabled(pynvml, handle),
    )


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _missing(*_: Any) -> Any:
    raise AttributeError("this pynvml has no such call")
