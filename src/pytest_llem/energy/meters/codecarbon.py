"""CodeCarbon as a meter: the energy that its offline tracker has added up so far.

Each read flushes a tracker, and what it reports since its start is the counter. CodeCarbon takes a new measurement only
when its last is 50 ms old, so this counter steps at least 50 ms apart. On a GPU it differences NVML's energy counter.
On a machine without one it models the CPU from its load and its rated power: an estimate. Its constant assumption for
memory is left out, since no workload changes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from pytest_llem.energy.meter import CounterRead, Device, Sampler, Scope, Source
from pytest_llem.energy.meters.nvml import NvmlMeter
from pytest_llem.errors import MeterError

J_PER_KWH = 3.6e6
COUNTRY = "USA"  # only for carbon, which is not read; without one CodeCarbon would ask the network
BACKGROUND_S = 3600  # CodeCarbon's own timer: every read here measures anyway


class CodeCarbonMeter:
    """GPUs where there are any, else the CPU of the host."""

    name = "codecarbon"
    source: Source = "codecarbon"
    bracket_s = 0.3

    def __init__(self) -> None:
        try:
            self._gpus = tuple(NvmlMeter().devices())
        except MeterError:
            self._gpus = ()
        self.measured = self.reads_disturb = bool(self._gpus)
        self.scope: Scope = "device" if self._gpus else "host"
        self.method = "bracketed" if self._gpus else "counter_interpolated"

    def devices(self) -> Sequence[Device]:
        if find_spec("codecarbon") is None:  # importing it takes a second, which is the recorder's to spend
            raise MeterError("codecarbon is not installed", hint="pip install 'pytest-llem[codecarbon]'")
        return self._gpus or [Device(uuid="cpu", name="CPU as modelled by CodeCarbon")]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return CodeCarbonSampler(devices)


class CodeCarbonSampler(Sampler):
    """One tracker for each device, since a tracker reports only the sum of its GPUs."""

    def __init__(self, devices: Sequence[Device]) -> None:
        try:
            import codecarbon
            from codecarbon import output
        except ImportError as error:
            hint = "pip install 'pytest-llem[codecarbon]'"
            raise MeterError(f"codecarbon cannot be imported: {error}", hint=hint) from None
        # CodeCarbon would take it for its list of GPUs, but the indices here are already NVML's own.
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        self._trackers: dict[str, tuple[Any, list[Any]]] = {}
        for device in devices:
            totals: list[Any] = []
            tracker = codecarbon.OfflineEmissionsTracker(
                country_iso_code=COUNTRY,
                output_methods=[],
                output_handlers=[_handler(output.BaseOutput, totals)],
                log_level="critical",
                measure_power_secs=BACKGROUND_S,
                allow_multiple_runs=True,
                gpu_ids=None if device.index is None else [device.index],
            )
            tracker.start()
            # Its gpu_count is only the number asked for; the model's name is known once a GPU has been seen.
            if device.index is not None and not tracker.get_detected_hardware()["gpu_model"]:
                raise MeterError(
                    "codecarbon sees no GPU", hint="it needs nvidia-smi on the PATH; or use --llem-meter=nvml"
                )
            self._trackers[device.uuid] = (tracker, totals)

    def counter(self, device: Device) -> CounterRead | None:
        tracker, totals = self._trackers[device.uuid]
        totals.clear()
        before = time.monotonic()
        tracker.flush()
        after = time.monotonic()
        if not totals:
            raise MeterError("codecarbon: its tracker reported nothing", hint="llem doctor shows which meters work")
        total = totals[-1]
        kwh = total.cpu_energy if device.index is None else total.gpu_energy
        return CounterRead(before, after, kwh * J_PER_KWH)

    def close(self) -> None:
        for tracker, _ in self._trackers.values():
            tracker.stop()


def _handler(base: type[Any], totals: list[Any]) -> Any:
    """An output handler of CodeCarbon's that keeps the totals of every flush."""

    class Keep(base):  # type: ignore[misc]  # the base class is known only where CodeCarbon is installed
        def out(self, total: Any, delta: Any) -> None:
            totals.append(total)

    return Keep()
