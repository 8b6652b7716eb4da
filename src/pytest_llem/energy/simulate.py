"""A simulated power meter: what an NVML-like counter would have shown of a known power, as a :class:`Trace`.

For tests that need a truth to compare with. The defaults are an H200's: a counter that steps every 100 ms and sees
power through a one-pole low-pass of 9 ms, reads of 2.7 ms about every 5 ms, instant power renewed every 100 ms.

>>> trace = simulate(pulse(t0=1.0, t1=1.25, busy_w=550.0), t0=1.0, t1=1.25)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_llem.energy.trace import Mark, Trace

Floats = NDArray[np.float64]
Power = Callable[[Floats], Floats]
"""Times (n,) in s to power (n,) in W."""

_FINE_S = 1e-4  # power is integrated in steps of this


@dataclass(frozen=True)
class SimulatedMeter:
    """The properties of a meter; times in s, noise as standard deviations.

    ``period_s`` 0 makes a counter that follows power at every read. ``late_s`` is how late a step's value is taken
    (one-sided), ``counter_noise_j`` an error of each step that does not add up. ``gap_s`` are the shortest and longest
    pause from one read's beginning to the next.
    """

    period_s: float = 0.100
    phase_s: float = 0.0371
    lag_s: float = 0.009
    late_s: float = 0.0003
    counter_noise_j: float = 0.02
    read_s: float = 0.0027
    gap_s: tuple[float, float] = (0.0045, 0.0065)
    power_period_s: float = 0.100
    power_noise_w: float = 0.4
    has_counter: bool = True
    has_power: bool = True


def pulse(t0: float, t1: float, busy_w: float, idle_w: float = 126.0) -> Power:
    """Constant power between two times (s), idle power outside."""
    return lambda time: np.where((time >= t0) & (time < t1), busy_w, idle_w)


def staircase(starts: Sequence[float], watts: Sequence[float], idle_w: float = 126.0) -> Power:
    """Power ``watts[i]`` from ``starts[i]`` (s) on, idle power before the first."""
    levels = np.array([idle_w, *watts])
    return lambda time: levels[np.searchsorted(np.array(starts), time, side="right")]


def simulate(
    power: Power,
    t0: float,
    t1: float,
    *,
    marks: Sequence[Mark] = (),
    meter: SimulatedMeter | None = None,
    before_s: float = 0.5,
    after_s: float = 0.7,
    seed: int = 0,
    name: str = "simulated",
) -> Trace:
    """The trace of a window ``t0`` to ``t1`` (s) with so much recorded before and after; the same seed, the same trace.

    Without ``marks`` the window is one part of one unit, labelled "work".
    """
    meter = meter or SimulatedMeter()
    rng = np.random.default_rng(seed)
    start, end = t0 - before_s, t1 + after_s
    edges = np.arange(start - 0.5, end + 0.2, _FINE_S, dtype=np.float64)
    watts = power((edges[1:] + edges[:-1]) / 2)
    felt = _low_pass(watts, meter.lag_s)
    total = np.concatenate(([0.0], np.cumsum(felt * _FINE_S))) + 1000.0
    reads = _read_times(start, end, meter.gap_s, rng)
    energy = np.column_stack((reads, reads + meter.read_s, _counter(reads, edges, total, meter, rng)))
    polls = np.arange(start, end, 0.015)
    renewed = np.floor((polls - meter.phase_s / 2) / meter.power_period_s) * meter.power_period_s + meter.phase_s / 2
    noise = np.random.default_rng(seed + 1).normal(0.0, meter.power_noise_w, 10_000)
    index = np.round(renewed / meter.power_period_s).astype(np.int64) % len(noise)
    instant = np.interp(renewed, edges[1:], felt) + noise[index]
    samples = np.column_stack((polls, instant, np.full(len(polls), np.nan)))
    return Trace(
        name=name,
        t0=t0,
        t1=t1,
        marks=tuple(marks) or (Mark("work", 1.0, t1),),
        energy=energy if meter.has_counter else np.empty((0, 3)),
        power=samples if meter.has_power else np.empty((0, 3)),
        device="simulated",
    )


def _low_pass(watts: Floats, lag: float) -> Floats:
    if lag <= 0:
        return watts
    taps = np.exp(-np.arange(0.0, 10 * lag, _FINE_S) / lag)
    padded = np.concatenate((np.full(len(taps) - 1, watts[0]), watts))
    return np.asarray(np.convolve(padded, taps / taps.sum(), mode="valid"))


def _read_times(start: float, end: float, gap: tuple[float, float], rng: np.random.Generator) -> Floats:
    count = int((end - start) / gap[0]) + 2
    times = start + np.cumsum(rng.uniform(*gap, count))
    return np.asarray(times[times < end])


def _counter(reads: Floats, edges: Floats, total: Floats, meter: SimulatedMeter, rng: np.random.Generator) -> Floats:
    """What each read returns: the counter as it was taken at the last step before the read began, in whole mJ."""
    if meter.period_s <= 0:
        return np.asarray(np.round(np.interp(reads, edges, total), 3))
    first = np.floor((reads[0] - meter.phase_s) / meter.period_s)
    last = np.floor((reads[-1] - meter.phase_s) / meter.period_s)
    steps = meter.phase_s + np.arange(first - 1, last + 1) * meter.period_s
    late = np.abs(rng.normal(0.0, meter.late_s, len(steps)))
    level = np.interp(steps + late, edges, total) + rng.normal(0.0, meter.counter_noise_j, len(steps))
    return np.asarray(np.round(level[np.searchsorted(steps + late, reads, side="right") - 1], 3))
