"""Zeus as a meter: the readings that a ZeusMonitor's windows are made of.

Zeus measures by windows, and a window's energy is the difference of two reads of the GPU's counter. Windows in a row
would lose every counter step that falls between the end of one and the beginning of the next, and overlapping ones
would count it twice; at this recorder's pace that is one step in six. So the monitor's own counter, ``monitor.gpus``,
is read directly: the difference of two such reads is exactly the ``gpu_energy`` of a window with those ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.util import find_spec

from pytest_llem.energy.meter import CounterRead, Device, PowerRead, Sampler, Scope, Source
from pytest_llem.energy.meters.nvml import NvmlMeter
from pytest_llem.errors import MeterError


class ZeusMeter:
    """NVIDIA GPUs with an energy counter, through Zeus 0.16 or later."""

    name = "zeus"
    source: Source = "zeus"
    scope: Scope = "device"
    measured = True
    bracket_s = 0.3
    reads_disturb = True
    method = "bracketed"

    def devices(self) -> Sequence[Device]:
        if find_spec("zeus") is None:  # importing it takes more than a second, which is the recorder's to spend
            raise MeterError("zeus is not installed", hint="pip install 'pytest-llem[zeus]'")
        return NvmlMeter().devices()  # Zeus numbers GPUs as NVML does; the UUIDs are NVML's

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return ZeusSampler(devices)


class ZeusSampler(Sampler):
    """Reads through one ZeusMonitor; it never synchronises with a workload, which runs in another process anyhow."""

    def __init__(self, devices: Sequence[Device]) -> None:
        try:
            from zeus.monitor import ZeusMonitor
        except ImportError as error:
            raise MeterError(f"zeus cannot be imported: {error}", hint="pip install 'pytest-llem[zeus]'") from None
        # Zeus would take CUDA_VISIBLE_DEVICES for a renumbering, but the indices here are already NVML's own.
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        indices = {device.uuid: device.index for device in devices if device.index is not None}
        if len(indices) != len(devices):
            raise MeterError("zeus measures GPUs only", hint="--llem-meter=auto finds the meter of this machine")
        try:
            self._monitor = ZeusMonitor(gpu_indices=list(indices.values()), cpu_indices=[])
        except Exception as error:  # Zeus raises ValueError, RuntimeError and its own
            raise MeterError(f"zeus: {error}", hint="llem doctor shows which meters work here") from None
        self._indices = indices
        for device in devices:
            if not self._monitor.gpus.supports_get_total_energy_consumption(indices[device.uuid]):
                raise MeterError(f"zeus: {device.name} has no energy counter", hint="use --llem-meter=nvml")

    def counter(self, device: Device) -> CounterRead | None:
        before = time.monotonic()
        try:
            energy_mj = self._monitor.gpus.get_total_energy_consumption(self._indices[device.uuid])
        except Exception as error:
            raise MeterError(f"zeus: {device.uuid}: {error}") from None
        return CounterRead(before, time.monotonic(), energy_mj / 1e3)

    def power(self, device: Device, *, full: bool) -> PowerRead | None:
        now = time.monotonic()
        try:
            power_mw = self._monitor.gpus.get_instant_power_usage(self._indices[device.uuid])
        except Exception:
            return None  # some GPUs have no instant power; Zeus measures energy without it
        return PowerRead(now, power_mw / 1e3)
