"""The steps of an energy counter: their period, phase and levels, found from the reads of one trace.

An NVML energy counter does not grow smoothly: it steps on a strict grid that is the same for as long as the driver
runs (100.0 ms on an H200; other GPUs have other grids). A read returns the value held when the read began, so a change
between two reads lies between their beginnings, and the grid is what agrees with most of these brackets at once.
A counter that changes at (nearly) every read, such as RAPL or a CPU-time estimate, has no grid that the reads could
resolve: its reads themselves are the knots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_llem.energy.trace import Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_STEPS = 4  # two give a period, a third tests it, a fourth allows one to be late
LATE_S = 0.003  # 99 % of an H200's idle steps are less than 2.4 ms late
CONTINUOUS = 0.9  # above this share of changes among reads the counter is finer than the reads
IDLE_STEPS = 6  # on each side of a window; more would reach into another window's time
HINT_SD = 0.0025  # idle power and idle counter agree to 0.2 % on an H200
HINT_FLOOR = 1e-2  # a hint that is 3 standard deviations off everything possible comes from a meter that gives none
INLIERS = 0.7  # a grid that explains fewer of the changes is none


@dataclass(frozen=True)
class Knots:
    """What is known of the counter: at ``time[i]`` (s) it took the value ``energy[i]`` (J).

    ``period`` is that of the grid, 0 for a counter without one; ``index[i]`` counts grid steps (0, 1, ... with gaps
    where no read fell between two steps). ``time_sd`` and ``period_sd`` (s) are the uncertainties of the grid.
    ``outliers`` are the times (s) of changes that do not fit the grid.
    """

    time: Floats
    energy: Floats
    index: Ints
    period: float
    period_sd: float
    time_sd: float
    outliers: Floats

    @property
    def gridded(self) -> bool:
        return self.period > 0


def find_knots(trace: Trace) -> Knots:
    """The knots of a trace's counter reads (at least two, finite, ordered in time)."""
    before, counter = trace.energy[:, 0], trace.energy[:, 2]
    change = np.flatnonzero(np.diff(counter) != 0)
    lo, hi = before[change], before[change + 1]
    grid = _fit_grid(lo, hi, None) if len(change) < CONTINUOUS * (len(before) - 1) else None
    if grid is None:
        middle = trace.energy[:, :2].mean(axis=1)
        resolution = float(np.median(np.diff(before)))
        return Knots(middle, counter, np.arange(len(middle)), 0.0, 0.0, resolution / np.sqrt(12.0), np.empty(0))
    # Few reads leave the period open by some percent; idle power, known from the other field, narrows it.
    hint = _period_by_power(_on_grid(grid, before, counter, lo, hi), trace)
    hinted = _fit_grid(lo, hi, hint) if hint is not None else None
    if hinted is not None and hinted.votes >= grid.votes:
        grid = hinted
    return _on_grid(grid, before, counter, lo, hi)


@dataclass(frozen=True)
class _Grid:
    """Steps at ``origin + k * period`` (s), which ``votes`` of the observed changes agree with."""

    origin: float
    period: float
    period_sd: float
    phase_sd: float
    votes: float


def _on_grid(grid: _Grid, before: Floats, counter: Floats, lo: Floats, hi: Floats) -> Knots:
    """The counter's value after each step of the grid that a read tells without doubt."""
    late = min(LATE_S, grid.period / 8)
    time_sd = float(np.hypot(grid.phase_sd, grid.period_sd * (hi[-1] - lo[0]) / grid.period / 4))
    nearest = grid.origin + np.round(((lo + hi) / 2 - grid.origin) / grid.period) * grid.period
    misfit = np.maximum(lo - late - nearest, nearest - hi - late)
    outliers = hi[(misfit > 0) & (hi - lo < grid.period)]
    # A read close to a step may belong to either side of it, so it says nothing.
    place = (before - grid.origin) / grid.period
    index = np.floor(place).astype(np.int64)
    margin = min(late + time_sd, grid.period / 4) / grid.period
    safe = np.flatnonzero((place - index > margin) & (place - index < 1 - margin / 2))
    index, first = np.unique(index[safe], return_index=True)
    level = counter[safe[first]]
    # The counter steps at each step: of equal levels only the one next to a seen change is one. (A stall leaves a gap.)
    fresh = np.concatenate(([True], np.diff(level) != 0))
    fresh[level == level[0]] = False
    fresh[np.flatnonzero(level == level[0])[-1:]] = True
    index, level = index[fresh], level[fresh]
    time = grid.origin + index * grid.period
    return Knots(time, level, index, grid.period, grid.period_sd, time_sd, outliers)


def idle_step(knots: Knots, *sides: Ints) -> float | None:
    """The median idle step (J) of knots by number, each side apart; None where no side has two.

    The median over all pairs, weighted by their distance (Theil and Sen's slope): the counter's sampling jitters, so
    that one large step is followed by a small one, and the mean over several steps is far better than each.
    """
    slope, weight = [np.empty(0)], [np.empty(0)]
    for side in sides:
        first, second = np.triu_indices(len(side), 1)
        distance = knots.index[side[second]] - knots.index[side[first]]
        slope.append((knots.energy[side[second]] - knots.energy[side[first]]) / distance)
        weight.append(distance.astype(np.float64))
    slopes, weights = np.concatenate(slope), np.concatenate(weight)
    if not len(slopes):
        return None
    order = np.argsort(slopes)
    total = np.cumsum(weights[order])
    return float(np.interp(total[-1] / 2, total - weights[order] / 2, slopes[order]))


def _period_by_power(knots: Knots, trace: Trace) -> float | None:
    """The period (s) that makes idle steps of the counter agree with idle instant power."""
    late = trace.t1 + 2 * knots.period
    step = idle_step(knots, np.flatnonzero(knots.time <= trace.t0)[-IDLE_STEPS:], np.flatnonzero(knots.time >= late))
    time, power = trace.power[:, 0], trace.power[:, 1]
    quiet = power[((time <= trace.t0) | (time >= late)) & np.isfinite(power)]
    if step is None or not len(quiet) or not np.median(quiet) > 0:
        return None
    return float(step / np.median(quiet))


def _fit_grid(lo: Floats, hi: Floats, hint: float | None) -> _Grid | None:
    """The grid that passes through most of the brackets (lo, hi] (s), each of which holds a step."""
    sharp = hi - lo < 2 * np.median(hi - lo) if len(lo) else np.zeros(0, dtype=bool)
    lo, hi = lo[sharp], hi[sharp]
    if len(lo) < MIN_STEPS:
        return None
    middle = (lo + hi) / 2
    gaps = np.diff(middle)
    single = gaps < 1.5 * np.quantile(gaps, 0.25) + np.median(hi - lo)  # not those over several steps
    period = hint if hint is not None else float(np.median(gaps[single]))
    for _ in range(5):
        steps = _count(middle, period)
        period = float(np.polyfit(steps, middle, 1)[0])
    span = float(steps[-1])
    reach = 1.5 * float(np.median(hi - lo)) / span
    periods = np.linspace(period - reach, period + reach, 121)
    votes, low, high = np.array([_stab(lo - steps * p, hi - steps * p) for p in periods]).T
    most = votes == votes.max()
    if votes.max() < INLIERS * len(lo):
        return None
    width = np.maximum(high - low, 1e-6)[most]
    periods, phase = periods[most], ((low + high) / 2)[most]
    weight = width
    if hint is not None:
        near = np.exp(-0.5 * ((periods - hint) / (HINT_SD * hint)) ** 2)
        weight = width * near if near.max() > HINT_FLOOR else width
    # Phase and period are taken together at the middle of the trace, where they are independent of each other.
    centre = float(np.average(phase + span / 2 * periods, weights=weight))
    best = float(np.average(periods, weights=weight))
    period_sd = float(np.sqrt(np.average((periods - best) ** 2, weights=weight)) + reach / 60)
    phase_sd = float(np.average(width, weights=weight)) / np.sqrt(12.0)
    return _Grid(centre - span / 2 * best, best, period_sd, phase_sd, float(votes.max()))


def _count(middle: Floats, period: float) -> Floats:
    """The number of each step, counted from gap to gap so that a wrong period does not add up."""
    return np.concatenate(([0.0], np.cumsum(np.maximum(1.0, np.round(np.diff(middle) / period)))))


def _stab(lo: Floats, hi: Floats) -> tuple[float, float, float]:
    """The interval that lies inside most of the intervals [lo, hi]: (how many, its ends)."""
    edges = np.concatenate((lo, hi))
    order = np.argsort(edges, kind="stable")
    depth = np.cumsum(np.where(order < len(lo), 1, -1))
    top = int(np.argmax(depth))
    return float(depth[top]), float(edges[order[top]]), float(edges[order[min(top + 1, len(edges) - 1)]])
