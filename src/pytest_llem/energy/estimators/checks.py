"""What the steps of the counter and the second source say about a result."""

from __future__ import annotations

import numpy as np

from pytest_llem.energy.estimators.grid import Knots
from pytest_llem.energy.trace import Trace

DISAGREE = 0.05  # relative difference of two sources above which neither is believed
UNSETTLED = 0.05  # relative difference of early and late power above which a window has not settled
EARLY_S = 0.1  # s; an H200 at its limit draws 30 to 40 % more for so long, then the limit holds
EDGE_S = 0.0025  # s; how well the time of a step is known against the window's edges (phase, lag, lateness)
IRREGULAR = 0.1  # share of steps off the grid above which the grid is no grid
GAP_S = "counter_gap_s"  # in Trace.extra: the longest pause (s) between counter reads that the recorder meant to make


def check_steps(trace: Trace, knots: Knots) -> tuple[str, ...]:
    """Codes for steps that are missing or do not fit the grid."""
    if not knots.gridded:
        return ()
    codes = []
    gaps = np.diff(knots.index)
    pause = float(trace.extra.get(GAP_S, "0")) / knots.period
    beside = (knots.time[:-1] < trace.t0 + knots.period) | (knots.time[1:] > trace.t1 - knots.period)
    stale = (trace.energy[-1, 0] - knots.time[-1]) / knots.period
    if np.any(gaps > np.where(beside, 2, max(2.0, 1.5 * pause + 1))) or stale > 2.5:
        codes.append("missing_ticks")
    share = len(knots.outliers) / max(1, int(knots.index[-1] - knots.index[0]))
    if share > IRREGULAR:
        codes.append("clock_jump" if _shifted(knots) else "irregular_steps")
    return tuple(codes)


def _shifted(knots: Knots) -> bool:
    """True when the steps off the grid all come after, or all before, those on it: the clock was set in between."""
    on_grid = np.setdiff1d(np.round(knots.time, 3), np.round(knots.outliers, 3))
    return bool(np.all(knots.outliers > np.median(on_grid)) or np.all(knots.outliers < np.median(on_grid)))


def cross_check(trace: Trace, knots: Knots) -> tuple[float, float] | None:
    """(relative difference of integrated power to the counter over the recording, its standard deviation)."""
    time, power = trace.power[:, 0], trace.power[:, 1]
    if len(time) < 3 or np.any(np.isnan(power)) or len(knots.time) < 2:
        return None
    first, last = max(time[0], knots.time[0]), min(time[-1], knots.time[-1])
    if not last > first:
        return None
    counter = float(np.diff(np.interp([first, last], knots.time, knots.energy))[0])
    if not counter > 0:
        return None
    total = np.concatenate(([0.0], np.cumsum(np.diff(time) * power[:-1])))
    integral = float(np.diff(np.interp([first, last], time, total))[0])
    renewed = time[np.flatnonzero(np.diff(power) != 0) + 1]
    step = max(float(np.median(np.diff(renewed))) if len(renewed) > 2 else 0.0, float(np.median(np.diff(time))))
    # When within a step of the power field the load changed is not known.
    unseen = step * float(np.sqrt(np.sum(np.diff(power) ** 2) / 3))
    return (integral - counter) / counter, unseen / counter


def settled(knots: Knots, trace: Trace, energy: float, idle_power: float, lag: float) -> bool | None:
    """Whether mean power early in the window and after that agree; None where no step parts it well enough to tell.

    Only for windows of one kind of work: phases differ by nature.
    """
    length = trace.t1 - trace.t0
    inside = np.flatnonzero((knots.time > trace.t0 + 2 * lag) & (knots.time < trace.t1))
    before = np.flatnonzero(knots.time <= trace.t0)
    if len({mark.label for mark in trace.marks}) > 1 or not len(inside) or not len(before):
        return None
    aim = trace.t0 + min(EARLY_S + lag, length / 2)
    tick = inside[np.argmin(np.abs(knots.time[inside] - aim))]
    early_s = float(knots.time[tick]) - trace.t0
    mean = energy / length
    rise = knots.energy[tick] - knots.energy[before] - idle_power * (trace.t0 - knots.time[before])
    early = (float(np.median(rise)) + (mean - idle_power) * lag) / early_s
    late = (energy - early * early_s) / (length - early_s)
    sd = EDGE_S * mean * (1 / early_s + 1 / (length - early_s))
    if sd > UNSETTLED * 2 * mean and abs(early - late) < 2 * sd:
        return None
    return abs(early - late) <= max(UNSETTLED * mean, 2 * sd)
