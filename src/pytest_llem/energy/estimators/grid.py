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

from pytest_llem.energy.trace import Samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_STEPS = 4  # two give a period, a third tests it, a fourth allows one to be late
LATE_S = 0.003  # 99 % of an H200's idle steps are less than 2.4 ms late
CONTINUOUS = 0.9  # above this share of changes among reads the counter is finer than the reads
INLIERS = 0.7  # a grid that explains fewer of the changes is none


@dataclass(frozen=True)
class Knots:
    """What is known of the counter: at ``time[i]`` (s) it took the value ``energy[i]`` (J).

    ``period`` is that of the grid, 0 for a counter without one; ``index[i]`` counts grid steps (0, 1, ... with gaps
    where no read fell between two steps). ``time_sd`` (s) is the uncertainty of the grid's phase.
    ``outliers`` are the times (s) of changes that do not fit the grid.
    """

    time: Floats
    energy: Floats
    index: Ints
    period: float
    time_sd: float
    outliers: Floats

    @property
    def gridded(self) -> bool:
        return self.period > 0


def find_knots(energy: Samples) -> Knots:
    """The knots of a counter's reads (shape (n, 3): before s, after s, counter J; finite, ordered in time)."""
    before, counter = energy[:, 0], energy[:, 2]
    change = np.flatnonzero(np.diff(counter) != 0)
    lo, hi = before[change], before[change + 1]
    grid = _fit_grid(lo, hi) if len(change) < CONTINUOUS * (len(before) - 1) else None
    if grid is None:
        middle = energy[:, :2].mean(axis=1)
        spacing = float(np.median(np.diff(middle))) if len(middle) > 1 else 0.0
        return Knots(middle, counter, np.arange(len(middle)), 0.0, spacing / np.sqrt(12.0), np.empty(0))
    origin, period, phase_sd = grid
    late = min(LATE_S, period / 8)
    steps = np.round(((lo + hi) / 2 - origin) / period)
    misfit = np.maximum(lo - late - (origin + steps * period), origin + steps * period - hi - late)
    outliers = hi[(misfit > 0) & (hi - lo < period)]
    # A read close to a step may belong to either side of it, so it says nothing.
    place = (before - origin) / period
    index = np.floor(place).astype(np.int64)
    margin = min(late + phase_sd, period / 4) / period
    safe = np.flatnonzero((place - index > margin) & (place - index < 1 - margin / 2))
    index, first = np.unique(index[safe], return_index=True)
    return Knots(origin + index * period, counter[safe[first]], index, period, phase_sd, outliers)


def _fit_grid(lo: Floats, hi: Floats) -> tuple[float, float, float] | None:
    """(time of step 0, period, uncertainty of the phase) in s, from brackets (lo, hi] that each hold a step."""
    sharp = hi - lo < 2 * np.median(hi - lo) if len(lo) else np.zeros(0, dtype=bool)
    lo, hi = lo[sharp], hi[sharp]
    if len(lo) < MIN_STEPS:
        return None
    middle = (lo + hi) / 2
    gaps = np.diff(middle)
    period = float(np.mean(gaps[gaps < 1.5 * np.quantile(gaps, 0.25)]))
    for _ in range(5):
        steps = _count(middle, period)
        if steps[-1] < MIN_STEPS - 1:
            return None
        period = float(np.polyfit(steps, middle, 1)[0])
    span = float(steps[-1])
    reach = 1.5 * float(np.median(hi - lo)) / span
    best: list[tuple[int, float, float, float]] = []
    for candidate in np.linspace(period - reach, period + reach, 121):
        best.append((*_stab(lo - steps * candidate, hi - steps * candidate), candidate))
    most = max(votes for votes, *_ in best)
    if most < INLIERS * len(lo):
        return None
    chosen = [(low, high, p) for votes, low, high, p in best if votes == most]
    weight = np.array([max(high - low, 1e-6) for low, high, _ in chosen])
    phase = np.array([(low + high) / 2 for low, high, _ in chosen])
    periods = np.array([p for *_, p in chosen])
    # Origin and period are taken together at the middle of the trace, where they are independent of each other.
    centre = np.average(phase + span / 2 * periods, weights=weight)
    period = float(np.average(periods, weights=weight))
    width = float(np.average(weight, weights=weight))
    return float(centre - span / 2 * period), period, width / np.sqrt(12.0)


def _count(middle: Floats, period: float) -> Floats:
    """The number of each step, counted from gap to gap so that a wrong period does not add up."""
    return np.concatenate(([0.0], np.cumsum(np.maximum(1.0, np.round(np.diff(middle) / period)))))


def _stab(lo: Floats, hi: Floats) -> tuple[int, float, float]:
    """The interval that lies inside most of the intervals [lo, hi]: (how many, its ends)."""
    edges = np.concatenate((lo, hi))
    order = np.argsort(edges, kind="stable")
    depth = np.cumsum(np.where(order < len(lo), 1, -1))
    top = int(np.argmax(depth))
    return int(depth[top]), float(edges[order[top]]), float(edges[order[min(top + 1, len(edges) - 1)]])
