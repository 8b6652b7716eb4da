"""The NVML meter: an NVIDIA GPU's energy counter and power, by UUID."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pytest_llem.energy import nvml
from pytest_llem.energy.meter import CounterRead, Device, PowerRead, Sampler, Scope, Source
from pytest_llem.errors import MeterError

AMPERE = 7  # NVML_DEVICE_ARCH_AMPERE
GA100 = ("A100", "A30", "A800")
SAME_S = 1e-3  # two times of one sample, taken over from the wall clock twice, differ by less


class NvmlMeter:
    """All NVIDIA GPUs of the machine. Without an energy counter (before Volta) it integrates power instead."""

    name = "nvml"
    scope: Scope = "device"
    measured = True
    bracket_s = 0.3
    reads_disturb = True  # for 3 ms each; one in 20 ms takes 14 % of the speed of a launch-bound workload (H200)

    @cached_property
    def source(self) -> Source:
        """``nvml_counter`` where every GPU has an energy counter, else ``nvml_power``."""
        pynvml = nvml.library()
        handles = [pynvml.nvmlDeviceGetHandleByUUID(device.uuid) for device in self.devices()]
        reads = [nvml.optional(pynvml, pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) for handle in handles]
        return "nvml_power" if None in reads else "nvml_counter"

    @property
    def method(self) -> str:
        return "bracketed" if self.source == "nvml_counter" else "power_integral"

    def devices(self) -> Sequence[Device]:
        """Every GPU that is not cut into MIG slices, in NVML's order; MeterError if there is none."""
        pynvml = nvml.library()
        count = pynvml.nvmlDeviceGetCount()
        if count == 0:
            raise MeterError("NVML sees no GPU", hint="in a container: was it started with the GPU (--gpus all)?")
        handles = [(index, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
        whole = [(index, handle) for index, handle in handles if not nvml.mig_enabled(pynvml, handle)]
        if not whole:
            raise MeterError("every GPU is cut into MIG slices", hint=nvml.MIG_HINT)
        driver = nvml.text(pynvml.nvmlSystemGetDriverVersion())
        return [_device(pynvml, index, handle, driver) for index, handle in whole]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return NvmlSampler(devices)


def _device(pynvml: Any, index: int, handle: Any, driver: str) -> Device:
    limit_mw = nvml.optional(pynvml, pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Device(
        uuid=nvml.text(pynvml.nvmlDeviceGetUUID(handle)),
        name=nvml.text(pynvml.nvmlDeviceGetName(handle)),
        index=index,
        power_limit_w=None if limit_mw is None else limit_mw / 1e3,
        driver=driver,
    )


class NvmlSampler:
    """Reads GPUs by UUID; raises MeterError when one is lost."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._pynvml = nvml.library()
        self._handles = {device.uuid: self._handle(device) for device in devices}
        self._fields = (self._pynvml.NVML_FI_DEV_POWER_INSTANT, self._pynvml.NVML_FI_DEV_POWER_AVERAGE)
        self._instant = {uuid: self._field_powers(handle)[0] is not None for uuid, handle in self._handles.items()}
        # The documentation of nvmlDeviceGetPowerUsage: a one-second average from Ampere on, but instant on GA100 and
        # on everything older.
        self._usage_is_instant = {
            device.uuid: any(name in device.name for name in GA100) or self._architecture(device) < AMPERE
            for device in devices
        }

    def counter(self, device: Device) -> CounterRead | None:
        pynvml, handle = self._pynvml, self._handles[device.uuid]
        before = time.monotonic()
        try:
            energy_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except pynvml.NVMLError_NotSupported:
            return None
        except pynvml.NVMLError as error:
            raise self._lost(device, error) from None
        return CounterRead(before, time.monotonic(), energy_mj / 1e3)

    def power(self, device: Device, *, full: bool) -> PowerRead | None:
        handle = self._handles[device.uuid]
        now = time.monotonic()
        try:
            instant_w, average_w = self._powers(device)
        except self._pynvml.NVMLError as error:
            raise self._lost(device, error) from None
        if not full:
            return PowerRead(now, instant_w, average_w)
        return self._full(handle, now, instant_w, average_w)

    def history(self, device: Device, since: float) -> Sequence[PowerRead]:
        """The driver's own samples of instant power, one each 20 ms on an H200, which keeps the last 2.4 s."""
        pynvml, handle = self._pynvml, self._handles[device.uuid]
        offset = time.time() - time.monotonic()  # the driver stamps them with the wall clock, in us
        last_seen_us = max(0, int((since + offset + SAME_S) * 1e6))
        try:
            kind, samples = pynvml.nvmlDeviceGetSamples(handle, pynvml.NVML_TOTAL_POWER_SAMPLES, last_seen_us)
        except (pynvml.NVMLError_NotFound, pynvml.NVMLError_NotSupported):
            return []
        except pynvml.NVMLError as error:
            raise self._lost(device, error) from None
        wide = kind == pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
        return [
            PowerRead(s.timeStamp / 1e6 - offset, (s.sampleValue.ullVal if wide else s.sampleValue.uiVal) / 1e3)
            for s in samples
            if s.timeStamp > last_seen_us
        ]

    def follow(self, pid: int) -> None:
        """A GPU's meter does not care whose work it is."""

    def close(self) -> None:
        self._pynvml.nvmlShutdown()

    def _handle(self, device: Device) -> Any:
        pynvml = self._pynvml
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(device.uuid)
        except pynvml.NVMLError as error:
            raise MeterError(f"no GPU {device.uuid}: {error}", hint="nvidia-smi -L lists the UUIDs") from None
        if device.uuid.startswith("MIG-") or nvml.mig_enabled(pynvml, handle):
            raise MeterError(f"{device.name} {device.uuid}: MIG is not supported", hint=nvml.MIG_HINT)
        return handle

    def _architecture(self, device: Device) -> int:
        answer = nvml.optional(self._pynvml, self._pynvml.nvmlDeviceGetArchitecture, self._handles[device.uuid])
        return AMPERE if answer is None else int(answer)

    def _powers(self, device: Device) -> tuple[float | None, float | None]:
        """Instant and averaged power, W; a figure that this GPU does not have is None."""
        handle = self._handles[device.uuid]
        if self._instant[device.uuid]:
            return self._field_powers(handle)
        usage_w = self._pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3
        return (usage_w, None) if self._usage_is_instant[device.uuid] else (None, usage_w)

    def _field_powers(self, handle: Any) -> tuple[float | None, float | None]:
        try:
            instant, average = self._pynvml.nvmlDeviceGetFieldValues(handle, self._fields)
        except (self._pynvml.NVMLError_NotSupported, self._pynvml.NVMLError_FunctionNotFound):
            return None, None
        return self._watts(instant), self._watts(average)

    def _watts(self, field: Any) -> float | None:
        if field.nvmlReturn != self._pynvml.NVML_SUCCESS:
            return None
        wide = field.valueType == self._pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
        return float(field.value.ullVal if wide else field.value.uiVal) / 1e3

    def _full(self, handle: Any, now: float, instant_w: float | None, average_w: float | None) -> PowerRead:
        pynvml = self._pynvml
        memory = nvml.optional(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle, version=pynvml.nvmlMemory_v2)
        use = nvml.optional(pynvml, pynvml.nvmlDeviceGetUtilizationRates, handle)
        sm_mhz = nvml.optional(pynvml, pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
        memory_mhz = nvml.optional(pynvml, pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_MEM)
        return PowerRead(
            time=now,
            instant_w=instant_w,
            average_w=average_w,
            temperature_c=nvml.optional(pynvml, pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
            memory_bytes=None if memory is None else memory.used,
            utilization=None if use is None else use.gpu / 100,
            sm_clock_hz=None if sm_mhz is None else sm_mhz * 1e6,
            memory_clock_hz=None if memory_mhz is None else memory_mhz * 1e6,
            throttle_reasons=nvml.optional(pynvml, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle),
        )

    def _lost(self, device: Device, error: Exception) -> MeterError:
        return MeterError(f"{device.name} {device.uuid}: {error}", hint="see dmesg for an Xid message of the driver")
