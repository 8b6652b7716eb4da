"""What a meter is worth on this machine: how often it steps, what a read costs, how much it wobbles at idle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytest_llem.energy.estimators.knots import find_knots
from pytest_llem.energy.meter import Device, MeterInfo
from pytest_llem.energy.record_format import RecorderCost
from pytest_llem.energy.recorder import Recorder
from pytest_llem.energy.recording import Recording
from pytest_llem.energy.trace import STEPLESS


@dataclass(frozen=True)
class DeviceReport:
    """One device as it was, with no workload of ours. None: this meter has no such thing, or it never stepped."""

    device: Device
    step_period_s: float | None  # time between two steps of the counter
    step_period_sd_s: float | None  # how well that is known, as a standard deviation
    counter_read_s: float | None  # median cost of one read
    power_period_s: float | None  # median time between two new values of the instant power
    idle_power_w: float | None
    idle_power_ci95_w: tuple[float, float] | None
    noise_w: float | None  # standard deviation of the power of single steps (or single samples)


@dataclass(frozen=True)
class MeterReport:
    """A meter and what it costs to use it."""

    meter: MeterInfo
    devices: tuple[DeviceReport, ...]
    cost: RecorderCost
    dense_cpu_share: float | None  # of one core, near edges
    slow_cpu_share: float | None  # of one core, between edges


def examine(meter_name: str, devices: Sequence[Device], folder: Path, seconds: float = 3.0) -> MeterReport:
    """Record ``devices`` for ``seconds`` as near an edge and as long as between edges; raises MeterError."""
    with Recorder(meter_name, devices, folder) as recorder:
        recorder.pace("dense")
        start = time.monotonic()
        time.sleep(seconds)
        middle = time.monotonic()
        recorder.pace("slow")
        time.sleep(seconds)
        recording = recorder.stop()
    cost = recording.cost
    dense_wall_s = cost.wall_s - cost.slow_wall_s
    return MeterReport(
        meter=recording.meter,
        devices=tuple(_report(recording, device, start, middle) for device in recording.devices),
        cost=cost,
        dense_cpu_share=(cost.cpu_s - cost.slow_cpu_s) / dense_wall_s if dense_wall_s > 0 else None,
        slow_cpu_share=cost.slow_cpu_share,
    )


def _report(recording: Recording, device: Device, start: float, end: float) -> DeviceReport:
    energy, power = recording.energy[device.uuid], recording.power[device.uuid]
    trace = recording.trace(device.uuid, "", start, end, (), 0.0)
    knots = find_knots(trace) if len(trace.energy) >= 2 else None
    if knots is not None and (len(knots.time) < 2 or trace.extra.get(STEPLESS) == "yes"):
        knots = None  # it stood still, or counts without steps
    instant = power[np.isfinite(power[:, 1])]
    watts = instant[:, 1] if knots is None else np.diff(knots.energy) / np.diff(knots.time)
    renewed = instant[np.flatnonzero(np.diff(instant[:, 1])) + 1, 0]
    idle = recording.mean_power(device.uuid, start, end)
    return DeviceReport(
        device=device,
        step_period_s=None if knots is None else knots.period,
        step_period_sd_s=None if knots is None else knots.period_sd,
        counter_read_s=float(np.median(energy[:, 1] - energy[:, 0])) if len(energy) else None,
        power_period_s=float(np.median(np.diff(renewed))) if len(renewed) >= 2 else None,
        idle_power_w=None if idle is None else idle[0],
        idle_power_ci95_w=None if idle is None else idle[1:],
        noise_w=float(np.std(watts, ddof=1)) if len(watts) >= 2 else None,
    )
