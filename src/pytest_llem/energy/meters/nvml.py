"""The NVML meter: an NVIDIA GPU's energy counter and power, by UUID."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pytest_llem.energy import nvml
from pytest_llem.energy.gpus import handle_of, list_gpus
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
        handles = [handle_of(device.uuid) for device in self.devices()]
        reads = [nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handle) for handle in handles]
        return "nvml_power" if None in reads else "nvml_counter"

    @cached_property
    def method(self) -> str:
        return "bracketed" if self.source == "nvml_counter" else "power_integral"

    def devices(self) -> Sequence[Device]:
        """Every GPU that is not cut into MIG slices, in NVML's order; MeterError if there is none."""
        gpus = list_gpus()
        if not gpus:
            raise MeterError("NVML sees no GPU", hint="in a container: was it started with the GPU (--gpus all)?")
        whole = [gpu for gpu in gpus if not gpu.mig]
        if not whole:
            raise MeterError("every GPU is cut into MIG slices", hint=nvml.MIG_HINT)
        limits = [nvml.scaled(1e-3, "nvmlDeviceGetEnforcedPowerLimit", handle_of(gpu.uuid)) for gpu in whole]
        driver = nvml.ask("nvmlSystemGetDriverVersion") or ""
        return [
            Device(gpu.uuid, gpu.name, gpu.index, limit_w, driver) for gpu, limit_w in zip(whole, limits, strict=True)
        ]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return NvmlSampler(devices)


class NvmlSampler(Sampler):
    """Reads GPUs by UUID; raises MeterError when one is lost."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._pynvml = nvml.library()
        self._handles = {device.uuid: self._handle(device) for device in devices}
        self._fields = (self._pynvml.NVML_FI_DEV_POWER_INSTANT, self._pynvml.NVML_FI_DEV_POWER_AVERAGE)
        self._instant = {uuid: self._field_powers(handle)[0] is not None for uuid, handle in self._handles.items()}
        # The documentation of nvmlDeviceGetPowerUsage: a one-second average from Ampere on, but instant on GA100 and
        # on everything older.
        self._usage_is_instant = {
            device.uuid: any(name in device.name for name in GA100)
            or (nvml.ask("nvmlDeviceGetArchitecture", self._handles[device.uuid]) or AMPERE) < AMPERE
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
            instant_w, average_w = self._powers(device.uuid)
        except self._pynvml.NVMLError as error:
            raise self._lost(device, error) from None
        if not full:
            return PowerRead(now, instant_w, average_w)
        use = nvml.ask("nvmlDeviceGetUtilizationRates", handle)
        return PowerRead(
            time=now,
            instant_w=instant_w,
            average_w=average_w,
            temperature_c=nvml.temperature_c(handle),
            memory_bytes=nvml.used_memory_bytes(handle),
            utilization=None if use is None else use.gpu / 100,
            sm_clock_hz=nvml.scaled(1e6, "nvmlDeviceGetClockInfo", handle, nvml.SM_CLOCK),
            memory_clock_hz=nvml.scaled(1e6, "nvmlDeviceGetClockInfo", handle, nvml.MEMORY_CLOCK),
            throttle_reasons=nvml.ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle),
        )

    def history(self, device: Device, since: float) -> Sequence[PowerRead]:
        """The driver's own samples of instant power, one each 20 ms on an H200, which keeps the last 2.4 s."""
        pynvml, handle = self._pynvml, self._handles[device.uuid]
        offset = _wall_offset()  # the driver stamps them with the wall clock, in us
        last_seen_us = max(0, int((since + offset + SAME_S) * 1e6))
        newest_us = (time.time() + SAME_S) * 1e6  # a later stamp is from before the clock was set back
        try:
            kind, samples = pynvml.nvmlDeviceGetSamples(handle, pynvml.NVML_TOTAL_POWER_SAMPLES, last_seen_us)
        except (pynvml.NVMLError_NotFound, pynvml.NVMLError_NotSupported):
            return []
        except pynvml.NVMLError as error:
            raise self._lost(device, error) from None
        return [
            PowerRead(sample.timeStamp / 1e6 - offset, self._watts(kind, sample.sampleValue))
            for sample in samples
            if last_seen_us < sample.timeStamp <= newest_us
        ]

    def close(self) -> None:
        self._pynvml.nvmlShutdown()

    def _handle(self, device: Device) -> Any:
        handle = handle_of(device.uuid)
        if device.uuid.startswith("MIG-") or nvml.mig_enabled(handle):
            raise MeterError(f"{device.name} {device.uuid}: MIG is not supported", hint=nvml.MIG_HINT)
        return handle

    def _powers(self, uuid: str) -> tuple[float | None, float | None]:
        """Instant and averaged power, W; a figure that this GPU does not have is None."""
        if self._instant[uuid]:
            return self._field_powers(self._handles[uuid])
        usage_w = self._pynvml.nvmlDeviceGetPowerUsage(self._handles[uuid]) / 1e3
        return (usage_w, None) if self._usage_is_instant[uuid] else (None, usage_w)

    def _field_powers(self, handle: Any) -> tuple[float | None, float | None]:
        try:
            fields = self._pynvml.nvmlDeviceGetFieldValues(handle, self._fields)
        except (self._pynvml.NVMLError_NotSupported, self._pynvml.NVMLError_FunctionNotFound):
            return None, None
        success = self._pynvml.NVML_SUCCESS
        instant, average = (
            self._watts(field.valueType, field.value) if field.nvmlReturn == success else None for field in fields
        )
        return instant, average

    def _watts(self, kind: int, value: Any) -> float:
        wide = kind == self._pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
        return float(value.ullVal if wide else value.uiVal) / 1e3

    def _lost(self, device: Device, error: Exception) -> MeterError:
        return MeterError(f"{device.name} {device.uuid}: {error}", hint=nvml.LOST_HINT)


def _wall_offset() -> float:
    """The wall clock minus the monotonic one, s: of three looks the one that least came between."""
    looks = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(3)]
    before, wall, after = min(looks, key=lambda look: look[2] - look[0])
    return wall - (before + after) / 2
