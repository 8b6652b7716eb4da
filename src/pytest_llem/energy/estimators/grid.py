"""The grid on which an energy counter steps: period and phase, found from the reads that saw it change.

An NVML energy counter steps on a strict grid, the same for as long as the driver runs (100.0 ms on an H200; other GPUs
have other grids). A read returns the value held when the read began, so a change between two reads lies between their
beginnings, and the grid is what agrees with most of these brackets at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.trace import Floats

MIN_STEPS = 4  # two give a period, a third tests it, a fourth allows one to be late
RESOLVED = 0.7  # brackets wider than this share of the period do not show a grid
INLIERS = 0.45  # a grid that explains fewer of the changes is none; half of them may follow a jump of the clock
HINT_SD = 0.0025  # idle power and idle counter agree to 0.2 % on an H200
HINT_FLOOR = 1e-2  # a hint 3 standard deviations off everything possible comes from a meter that gives none
CANDIDATES = 241


@dataclass(frozen=True)
class Grid:
    """Steps at ``origin + k * period`` (s), which ``votes`` of the observed changes agree with."""

    origin: float
    period: float
    period_sd: float
    phase_sd: float
    votes: float


def fit_grid(lo: Floats, hi: Floats, hint: float | None = None) -> Grid | None:
    """The grid that passes through most of the brackets (lo, hi] (s), each of which holds a step; else None.

    ``hint`` is a period (s) known from elsewhere to HINT_SD.
    """
    sharp = hi - lo < 2 * np.median(hi - lo) if len(lo) else np.zeros(0, dtype=bool)
    lo, hi = lo[sharp], hi[sharp]
    if len(lo) < MIN_STEPS:
        return None
    resolution, start = float(np.median(hi - lo)), hint
    if start is None:  # the typical time between two changes, those over several steps left out
        gaps = np.diff((lo + hi) / 2)
        start = float(np.median(gaps[gaps < 1.5 * np.quantile(gaps, 0.25) + resolution]))
    # A line is the better start where reads are few, the median slope where the clock jumped.
    found = [_search(lo, hi, start, slope, hint) for slope in (_line, _median_slope)]
    best = max(found, key=lambda grid: grid.votes)
    return best if best.votes >= INLIERS * len(lo) and resolution <= RESOLVED * best.period else None


def _search(
    lo: Floats, hi: Floats, period: float, slope: Callable[[Floats, Floats], float], hint: float | None
) -> Grid:
    """The grid that most brackets agree with, among periods near the ``slope`` of the steps' times."""
    middle = (lo + hi) / 2
    steps = _count(middle, period)
    for _ in range(5):
        period = slope(steps, middle)
        steps = _count(middle, period)
    span = float(steps[-1])
    reach = 3 * float(np.median(hi - lo)) / span
    periods = np.linspace(period - reach, period + reach, CANDIDATES)
    votes, low, high = np.array([_stab(lo - steps * p, hi - steps * p) for p in periods]).T
    most = votes == votes.max()
    periods, phase, width = periods[most], (low + high)[most] / 2, np.maximum(high - low, 1e-6)[most]
    weight = width
    if hint is not None:
        near = np.exp(-0.5 * ((periods - hint) / (HINT_SD * hint)) ** 2)
        weight = width * near if near.max() > HINT_FLOOR else width
    # Phase and period are taken together at the middle of the trace, where they are independent of each other.
    centre, best = (float(np.average(x, weights=weight)) for x in (phase + span / 2 * periods, periods))
    period_sd = float(np.sqrt(np.average((periods - best) ** 2, weights=weight))) + reach / CANDIDATES
    phase_sd = float(np.average(width, weights=weight)) / np.sqrt(12.0)
    return Grid(centre - span / 2 * best, best, period_sd, phase_sd, float(votes.max()))


def _line(steps: Floats, middle: Floats) -> float:
    return float(np.polyfit(steps, middle, 1)[0])


def _median_slope(steps: Floats, middle: Floats) -> float:
    """The median over pairs not too far apart: where the clock jumped, only the pairs across the jump are wrong."""
    first, second = np.triu_indices(len(steps), 1)
    near = steps[second] - steps[first] <= max(2.0, steps[-1] / 3)
    first, second = first[near], second[near]
    return float(np.median((middle[second] - middle[first]) / (steps[second] - steps[first])))


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
