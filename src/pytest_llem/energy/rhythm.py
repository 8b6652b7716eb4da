"""The beat of a device's energy counter, found from a whole recording and given to each of its windows.

A window left in peace shows a few steps before and a few after it, too few to tell how many lay between. But the grid
is the same for as long as the driver runs, so all windows and the idle times around them together tell it exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from pytest_llem.energy.estimators.grid import Grid, fit_long_grid
from pytest_llem.energy.estimators.knots import CONTINUOUS
from pytest_llem.energy.trace import ORIGIN_S, PERIOD_S, PHASE_SD_S, Floats, Samples, Trace

REACH_S = 120.0  # so far around a window steps are taken; two clocks that differ by 10 ppm part by 1 ms
MOST_STEPS = 400  # the nearest; more make it no sharper
STEADY = 0.02  # power that varies less from read to read is idle
FEWEST = 5
SHARPEST_S = 0.00025  # the phase is not known better, however many steps agree: they come up to 2.4 ms late


def find_rhythm(energy: Samples, power: Samples, t0: float, t1: float) -> dict[str, str]:
    """What a trace's ``extra`` should say of the grid around ``t0`` to ``t1`` (s); empty where none is seen."""
    reads = energy[(energy[:, 0] > t0 - REACH_S) & (energy[:, 0] < t1 + REACH_S)]
    change = np.flatnonzero(np.diff(reads[:, 2]) != 0)
    if len(change) > CONTINUOUS * (len(reads) - 1):
        return {}
    change = np.sort(change[np.argsort(np.abs(reads[change, 0] - (t0 + t1) / 2))[:MOST_STEPS]])
    lo, hi = reads[change, 0], reads[change + 1, 0]
    grid = _grid(lo.tobytes(), hi.tobytes(), _idle_period(lo, hi, reads[change + 1, 2], power))
    if grid is None:
        return {}
    return {ORIGIN_S: str(grid.origin), PERIOD_S: str(grid.period), PHASE_SD_S: str(max(grid.phase_sd, SHARPEST_S))}


@lru_cache(maxsize=64)
def _grid(lo: bytes, hi: bytes, hint: float | None) -> Grid | None:
    """The grid of the steps in the brackets (lo, hi] (s). It takes 0.1 s, and most windows of a recording share it."""
    return fit_long_grid(np.frombuffer(lo), np.frombuffer(hi), hint)


def _idle_period(lo: Floats, hi: Floats, level: Floats, power: Samples) -> float | None:
    """The period (s) with which an idle step of the counter (J) is idle instant power (W); None where none is idle."""
    watts, time = power[:, 1], power[:, 0]
    steady = np.isfinite(watts[1:]) & (np.abs(np.diff(watts)) < STEADY * watts[1:])
    found = []
    usual = np.median(hi - lo) if len(lo) else 0.0
    gap = np.diff((lo + hi) / 2)
    for i in np.flatnonzero((gap < np.quantile(gap, 0.25) * 1.5) & (hi[1:] - lo[1:] < 2 * usual)) if len(gap) else ():
        near = np.flatnonzero((time[1:] > lo[i] - gap[i]) & (time[1:] < hi[i + 1] + gap[i]))
        if len(near) > 1 and np.all(steady[near]):
            found.append((level[i + 1] - level[i]) / np.median(watts[1:][near]))
    return float(np.median(found)) if len(found) >= FEWEST else None


def share_rhythm(traces: Sequence[Trace]) -> tuple[Trace, ...]:
    """The traces of one file, those of one device told the grid that all of them show; in their order.

    A trace that knows it already, or whose own steps contradict it, is evaluated as before.
    """
    joined = {name: _joined([trace for trace in traces if _device(trace) == name]) for name in map(_device, traces)}
    return tuple(
        trace
        if ORIGIN_S in trace.extra
        else replace(trace, extra={**trace.extra, **find_rhythm(*joined[_device(trace)], trace.t0, trace.t1)})
        for trace in traces
    )


def _device(trace: Trace) -> str:
    return trace.extra.get("uuid", trace.device)


def _joined(traces: Sequence[Trace]) -> tuple[Samples, Samples]:
    """All counter reads and all power samples of some traces, each once, in order of time."""
    energy = np.concatenate([trace.energy for trace in traces])
    power = np.concatenate([trace.power for trace in traces])
    first, shown = (np.unique(samples[:, 0], return_index=True)[1] for samples in (energy, power))
    return energy[first], power[shown]
