"""NVML without a GPU: the calls that are used, put over the real pynvml, whose constants, structures and errors stay.

Strict: only names that the real pynvml has can be faked, handles must be its own, and a call before nvmlInit fails. In
a subprocess the folder ``shadow`` on PYTHONPATH does the same for ``import pynvml``, told by the variable FAKE_NVML.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

VARIABLE = "FAKE_NVML"
SHADOW = "shadow"
STEP_S = 0.1
SAMPLE_S = 0.02
SAMPLES = 119  # that the driver keeps


@dataclass
class FakeGpu:
    """Like an H200 as it was found, unless told otherwise."""

    uuid: str = "GPU-aaaa0000-0000-0000-0000-000000000000"
    name: str = "NVIDIA H200"
    power_w: float = 400.0
    average_w: float = 390.0
    limit_w: float = 700.0
    used_bytes: int = 0
    reserved_bytes: int = 645_000_000
    processes: list[tuple[int, int | None]] = field(default_factory=list)  # (pid, bytes)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    counter: bool = True
    instant_field: bool = True
    memory_v2: bool = True
    architecture: int = 9
    mig: bool | None = False  # None: a GPU that does not know MIG
    temperature_c: int = 35
    throttle: int = 0x004
    lost_after_s: float | None = None


class FakeNvml:
    """The state behind the calls."""

    def __init__(self, gpus: list[FakeGpu], pynvml: Any) -> None:
        self.gpus = gpus
        self.pynvml = pynvml
        self.opened = 0
        self.start = time.monotonic()
        self.calls: list[str] = []

    def install(self, put: Callable[[Any, str, Any], None]) -> None:
        """Put every public method named nvml… over the function of that name; ``put`` is setattr or monkeypatch's."""
        for name in dir(type(self)):
            if name.startswith("nvml"):
                assert hasattr(self.pynvml, name), f"pynvml has no {name}"
                put(self.pynvml, name, self._counted(name))

    def environment(self, folder: str) -> dict[str, str]:
        """What a subprocess needs to see the same GPUs."""
        paths = [f"{folder}/{SHADOW}", *filter(None, [os.environ.get("PYTHONPATH")])]
        return {VARIABLE: json.dumps([asdict(gpu) for gpu in self.gpus]), "PYTHONPATH": os.pathsep.join(paths)}

    def _counted(self, name: str) -> Callable[..., Any]:
        method = getattr(self, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name != "nvmlInit" and not self.opened:
                raise self._error("UNINITIALIZED")
            if arguments and isinstance(arguments[0], FakeGpu):
                self._alive(arguments[0])
            return method(*arguments, **named)

        return call

    def _error(self, code: str) -> Exception:
        error: Exception = self.pynvml.NVMLError(getattr(self.pynvml, f"NVML_ERROR_{code}"))
        return error

    def _alive(self, gpu: FakeGpu) -> None:
        assert gpu in self.gpus
        if gpu.lost_after_s is not None and time.monotonic() - self.start > gpu.lost_after_s:
            raise self._error("GPU_IS_LOST")

    def _needs(self, condition: bool) -> None:
        if not condition:
            raise self._error("NOT_SUPPORTED")

    def nvmlInit(self) -> None:  # noqa: N802
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.159"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return 13000

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        return f"process-{pid}"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:  # noqa: N802
        if not 0 <= index < len(self.gpus):
            raise self._error("INVALID_ARGUMENT")
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:  # noqa: N802
        for gpu in self.gpus:
            if gpu.uuid == uuid:
                return gpu
        raise self._error("NOT_FOUND")

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:  # noqa: N802
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:  # noqa: N802
        return gpu.name

    def nvmlDeviceGetPciInfo(self, gpu: FakeGpu) -> Any:  # noqa: N802
        return SimpleNamespace(busId=f"00000000:{self.gpus.index(gpu) + 1:02X}:00.0")

    def nvmlDeviceGetArchitecture(self, gpu: FakeGpu) -> int:  # noqa: N802
        return gpu.architecture

    def nvmlDeviceGetMigMode(self, gpu: FakeGpu) -> list[int]:  # noqa: N802
        self._needs(gpu.mig is not None)
        return [int(bool(gpu.mig))] * 2

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: FakeGpu) -> int:  # noqa: N802
        return int(gpu.limit_w * 1e3)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, gpu: FakeGpu) -> int:  # noqa: N802
        return int(gpu.limit_w * 1e3)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: FakeGpu) -> int:  # noqa: N802
        self._needs(gpu.counter)
        steps = time.monotonic() // STEP_S  # every process sees the same, as it does of a driver
        return 5_000_000 + int(steps * STEP_S * gpu.power_w * 1e3)

    def nvmlDeviceGetFieldValues(self, gpu: FakeGpu, fields: Any) -> Any:  # noqa: N802
        values = (self.pynvml.c_nvmlFieldValue_t * len(fields))()
        for value, wanted in zip(values, fields, strict=True):
            number = wanted[0] if isinstance(wanted, tuple) else wanted
            watts = {
                self.pynvml.NVML_FI_DEV_POWER_INSTANT: gpu.power_w,
                self.pynvml.NVML_FI_DEV_POWER_AVERAGE: gpu.average_w,
            }[number]
            value.fieldId = number
            value.nvmlReturn = self.pynvml.NVML_SUCCESS if gpu.instant_field else self.pynvml.NVML_ERROR_NOT_SUPPORTED
            value.valueType = self.pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
            value.value.uiVal = int(watts * 1e3)
        return values

    def nvmlDeviceGetSamples(self, gpu: FakeGpu, kind: int, last_seen_us: int) -> tuple[int, list[Any]]:  # noqa: N802
        assert kind == self.pynvml.NVML_TOTAL_POWER_SAMPLES
        now = time.time()
        newest = int(now / SAMPLE_S)
        stamps = [int(k * SAMPLE_S * 1e6) for k in range(newest - SAMPLES + 1, newest + 1)]
        found = [stamp for stamp in stamps if stamp > last_seen_us]
        if not found:
            raise self._error("NOT_FOUND")
        samples = [self.pynvml.c_nvmlSample_t(stamp) for stamp in found]
        for sample in samples:
            sample.sampleValue.uiVal = int(gpu.power_w * 1e3)
        return self.pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, samples

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:  # noqa: N802
        return int(gpu.average_w * 1e3)

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu, version: int | None = None) -> Any:  # noqa: N802
        total = 150_754_820_096
        if version is None:
            return SimpleNamespace(total=total, used=gpu.used_bytes + gpu.reserved_bytes)
        assert version == self.pynvml.nvmlMemory_v2
        if not gpu.memory_v2:
            raise self._error("FUNCTION_NOT_FOUND")
        return SimpleNamespace(total=total, used=gpu.used_bytes, reserved=gpu.reserved_bytes)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: FakeGpu) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in gpu.processes]

    def nvmlDeviceGetGraphicsRunningProcesses(self, gpu: FakeGpu) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in gpu.graphics]

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=75, memory=30)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:  # noqa: N802
        assert sensor == self.pynvml.NVML_TEMPERATURE_GPU
        return gpu.temperature_c

    def nvmlDeviceGetClockInfo(self, gpu: FakeGpu, kind: int) -> int:  # noqa: N802
        return {self.pynvml.NVML_CLOCK_SM: 1980, self.pynvml.NVML_CLOCK_MEM: 3201}[kind]

    def nvmlDeviceGetMaxClockInfo(self, gpu: FakeGpu, kind: int) -> int:  # noqa: N802
        return {self.pynvml.NVML_CLOCK_SM: 1980, self.pynvml.NVML_CLOCK_MEM: 3201}[kind]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: FakeGpu) -> int:  # noqa: N802
        return gpu.throttle

    def nvmlDeviceGetVbiosVersion(self, gpu: FakeGpu) -> str:  # noqa: N802
        return "96.00.A5.00.01"

    def nvmlDeviceGetPersistenceMode(self, gpu: FakeGpu) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetEccMode(self, gpu: FakeGpu) -> list[int]:  # noqa: N802
        return [1, 1]


def install_from_environment(pynvml: ModuleType) -> None:
    """For the shadow module: the GPUs that FAKE_NVML describes."""
    gpus = [FakeGpu(**{**item, "processes": [], "graphics": []}) for item in json.loads(os.environ[VARIABLE])]
    FakeNvml(gpus, pynvml).install(setattr)
