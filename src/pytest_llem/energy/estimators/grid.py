"""The grid on which an energy counter steps: period and phase, found from the reads that saw it change.

An NVML energy counter steps on a strict grid, the same for as long as the driver runs (100.0 ms on an H200; other GPUs
have other grids). A read returns the value held when the read began, so a change between two reads lies between their
beginnings, and the grid is what agrees with most of these brackets at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pytest_llem.energy.trace import Floats

MIN_STEPS = 4  # two give a period, a third tests it, a fourth allows one to be late
RESOLVED = 0.7  # brackets wider than this share of the period do not show a grid
INLIERS = 0.45  # a grid that explains fewer of the changes is none; half of them may follow a jump of the clock
HINT_SD = 0.0025  # idle power and idle counter agree to 0.2 % on an H200
HINT_FLOOR = 1e-2  # a hint 3 standard deviations off everything possible comes from a meter that gives none
CANDIDATES = 241
UNSEEN = 3  # steps apart, between which some may be miscounted
SURE = 4.0  # standard deviations of the hint
LATE_S = 0.003  # 99 % of an H200's idle steps are less than 2.4 ms late
MIN_LONG_STEPS = 10  # two bursts of reads; fewer tell no more than a trace does by itself
LONG_INLIERS = 0.8  # over minutes the grid is strict, or there is none
FOLD_REACH = 0.12  # the shortest gap tells the period to half the reads' pause, a few percent of it
FOLD_FINENESS = 8  # periods tried for each full turn over the recording
FOLD_CANDIDATES = 12
FOLD_MOST = 10_000  # a counter that steps so often within a recording is seen well enough in each window


@dataclass(frozen=True)
class Grid:
    """Steps at ``origin + k * period`` (s), which ``votes`` of the observed changes agree with.

    ``ambiguous``: as many agree with one step more or less in the longest time without reads.
    """

    origin: float
    period: float
    period_sd: float
    phase_sd: float
    votes: float
    ambiguous: bool = False


def fit_grid(lo: Floats, hi: Floats, hint: float | None = None) -> Grid | None:
    """The grid that passes through most of the brackets (lo, hi] (s), each of which holds a step; else None.

    ``hint`` is a period (s) known from elsewhere to HINT_SD.
    """
    sharp = hi - lo < 2 * np.median(hi - lo) if len(lo) else np.zeros(0, dtype=bool)
    lo, hi = lo[sharp], hi[sharp]
    if len(lo) < MIN_STEPS:
        return None
    resolution, start = float(np.median(hi - lo)), hint or _usual_gap(lo, hi)
    # A line is the better start where reads are few, the median slope where the clock jumped.
    found = [_search(lo, hi, start, slope, hint) for slope in (_line, _median_slope)]
    best = max(found, key=lambda grid: grid.votes)
    if best.votes < INLIERS * len(lo) or resolution > RESOLVED * best.period:
        return None
    return replace(best, ambiguous=_ambiguous(lo, hi, best, hint))


def fit_long_grid(lo: Floats, hi: Floats, hint: float | None = None) -> Grid | None:
    """The grid of a whole recording, from all brackets (lo, hi] (s) that hold a step; None where they show none.

    Between bursts of reads far apart nobody can count the steps, so periods are tried by folding: the right one puts
    all steps at one phase (epoch folding, as for pulsars; Leahy et al. 1983, ApJ 266, 160). ``hint`` is a period (s)
    known from elsewhere to HINT_SD.
    """
    sharp = hi - lo < 2 * np.quantile(hi - lo, 0.25) if len(lo) else np.zeros(0, dtype=bool)
    lo, hi = lo[sharp], hi[sharp]
    if len(lo) < MIN_LONG_STEPS:
        return None
    middle, half = (lo + hi) / 2 - lo[0], (hi - lo) / 2
    start, reach = _usual_gap(lo, hi), FOLD_REACH
    if hint is not None and abs(hint / start - 1) < FOLD_REACH:
        start, reach = hint, 4 * HINT_SD
    if 2 * reach / start * FOLD_FINENESS * middle[-1] > FOLD_MOST:
        return None
    pace = np.arange((1 - reach) / start, (1 + reach) / start, 1 / (FOLD_FINENESS * middle[-1]))
    turns = np.exp(2j * np.pi * pace[:, None] * middle).mean(axis=1)
    phase = np.angle(turns) / (2 * np.pi)
    miss = np.abs((pace[:, None] * middle - phase[:, None] + 0.5) % 1 - 0.5) / pace[:, None] - half
    agree = np.count_nonzero(miss < LATE_S, axis=1) + np.abs(turns)
    likely = np.argsort(-agree)[:FOLD_CANDIDATES]
    found = [_refine(lo, hi, np.round(middle * pace[i] - phase[i]), 1 / pace[i]) for i in likely]
    best = max(found, key=lambda grid: grid.votes)
    resolved = float(np.median(hi - lo)) <= RESOLVED * best.period
    return best if resolved and best.votes >= LONG_INLIERS * len(lo) else None


def _ambiguous(lo: Floats, hi: Floats, best: Grid, hint: float | None) -> bool:
    """Whether a count that differs by one across the longest gap fits as well, and no hint speaks against it."""
    middle = (lo + hi) / 2
    steps = np.round((middle - best.origin) / best.period)
    gap = int(np.argmax(np.diff(steps)))
    if steps[gap + 1] - steps[gap] < UNSEEN:
        return False
    for way in (-1.0, 1.0):
        other = steps + way * (np.arange(len(steps)) > gap)
        rival = _refine(lo, hi, other - other[0], _line(other, middle))
        if rival.votes >= best.votes and (hint is None or abs(rival.period / hint - 1) < SURE * HINT_SD):
            return True
    return False


def _search(
    lo: Floats, hi: Floats, period: float, slope: Callable[[Floats, Floats], float], hint: float | None
) -> Grid:
    """The grid that most brackets agree with, among periods near the ``slope`` of the steps' times."""
    middle = (lo + hi) / 2
    steps = _count(middle, period)
    for _ in range(5):
        period = slope(steps, middle)
        steps = _count(middle, period)
    return _refine(lo, hi, steps, period, hint)


def _refine(lo: Floats, hi: Floats, steps: Floats, period: float, hint: float | None = None) -> Grid:
    """The grid that most brackets agree with, each of them so many ``steps`` after the origin."""
    span, half_way = float(steps[-1] - steps[0]), float(steps[-1] + steps[0]) / 2
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
    centre, best = (float(np.average(x, weights=weight)) for x in (phase + half_way * periods, periods))
    period_sd = float(np.sqrt(np.average((periods - best) ** 2, weights=weight))) + reach / CANDIDATES
    phase_sd = float(np.average(width, weights=weight)) / np.sqrt(12.0)
    return Grid(centre - half_way * best, best, period_sd, phase_sd, float(votes.max()))


def _usual_gap(lo: Floats, hi: Floats) -> float:
    """The typical time between two changes, those over several steps left out."""
    gaps = np.diff((lo + hi) / 2)
    return float(np.median(gaps[gaps < 1.5 * np.quantile(gaps, 0.25) + np.median(hi - lo)]))


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
