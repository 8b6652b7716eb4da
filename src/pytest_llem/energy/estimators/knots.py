"""What a trace tells of its energy counter: which value it took when.

A counter that changes at (nearly) every read, such as RAPL or CPU time, is known at its reads. One that steps, as
NVML's does, is known at its steps: on a grid where the reads show one, else somewhere between two reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pytest_llem.energy.estimators.grid import LATE_S, Grid, fit_grid
from pytest_llem.energy.trace import ORIGIN_S, PERIOD_S, PHASE_SD_S, STEPLESS, Floats, Ints, Trace

SCATTERED = 0.3  # above this share of changes off the grid, here and there, the counter has none
AGREEMENT = 0.9  # share of changes that must fit the story of a clock that jumped once
CONTINUOUS = 0.9  # above this share of changes among the reads a counter is finer than the reads
HINT_REACH = 0.2  # a hint farther off what the steps alone show comes from a power field that means something else
IDLE_S = 0.4  # s of idle time used on each side of a window; more would reach into another window's time
IDLE_STEPS = 3  # at least
WIDTHS_PER_SD = float(np.sqrt(12.0))  # of a uniform distribution


@dataclass(frozen=True)
class Knots:
    """At ``time[i]`` (s) the counter took the value ``energy[i]`` (J).

    ``rhythm`` says how the times are known: steps on a "grid", "irregular" steps (each seen between two reads), or a
    "continuous" counter (the reads themselves). ``index[i]`` counts periods: whole numbers on a grid, with gaps where
    no read fell between two steps. ``period`` (s) is the grid's or the typical one; ``time_sd`` and ``period_sd`` (s)
    are their uncertainties; ``ambiguous``: the longest gap may hold one step more or less. So many changes as
    ``outliers`` do not fit the grid; ``jumped`` says that they are all those before, or all those after, some time:
    there the clock jumped.
    """

    rhythm: Literal["grid", "irregular", "continuous"]
    time: Floats
    energy: Floats
    index: Floats
    period: float
    time_sd: float
    period_sd: float = 0.0
    outliers: int = 0
    jumped: bool = False
    ambiguous: bool = False

    @property
    def slack(self) -> float:
        """How far off (s) a knot's time may be as a whole; on a grid steps are known, and this is 0."""
        return 0.0 if self.rhythm == "grid" else self.time_sd * WIDTHS_PER_SD

    @property
    def idle_count(self) -> int:
        """How many knots to use on each side of a window."""
        return max(IDLE_STEPS, round(IDLE_S / self.period))

    def before(self, time: float) -> Ints:
        """The last knots up to ``time`` (s), as many as are used for idle power, by number."""
        return np.flatnonzero(self.time <= time)[-self.idle_count :]

    def after(self, time: float) -> Ints:
        """All knots from ``time`` (s) on, by number."""
        return np.flatnonzero(self.time >= time)

    def idle_step(self, *sides: Ints) -> float | None:
        """The median idle step (J) among knots by number, each side apart; None where no side has two.

        The median over all pairs, weighted by their distance (Theil and Sen's slope): the counter's sampling jitters,
        so that one large step is followed by a small one, and the mean over several steps is far better than each.
        """
        pairs = [side[np.array(np.triu_indices(len(side), 1))] for side in sides]
        first, second = np.concatenate(pairs, axis=1)
        weights = self.index[second] - self.index[first]
        slopes = (self.energy[second] - self.energy[first]) / weights
        if not len(slopes):
            return None
        order = np.argsort(slopes)
        total = np.cumsum(weights[order])
        return float(np.interp(total[-1] / 2, total - weights[order] / 2, slopes[order]))


def find_knots(trace: Trace) -> Knots:
    """The knots of a trace's counter reads (at least two, finite, ordered in time)."""
    before, counter = trace.energy[:, 0], trace.energy[:, 2]
    change = np.flatnonzero(np.diff(counter) != 0)
    if trace.extra.get(STEPLESS) == "yes" or len(change) >= CONTINUOUS * (len(before) - 1):
        return read_knots(trace)
    lo, hi = before[change], before[change + 1]
    if (known := _known_grid(trace, lo, hi)) is not None:
        return _on_grid(known, before, counter, lo, hi)
    grid = fit_grid(lo, hi)
    if grid is None:
        return _between_reads(lo, hi, counter[change + 1])
    # Few reads leave the period open by some percent; idle power, known from the other field, narrows it.
    hint = _period_by_power(_on_grid(grid, before, counter, lo, hi), trace)
    if hint is not None and abs(hint / grid.period - 1) < HINT_REACH:
        hinted = fit_grid(lo, hi, hint)
        if hinted is not None and hinted.votes >= grid.votes:
            grid = hinted
    knots = _on_grid(grid, before, counter, lo, hi)
    scattered = knots.outliers > SCATTERED * len(change) and not knots.jumped
    return _between_reads(lo, hi, counter[change + 1]) if scattered else knots


def read_knots(trace: Trace) -> Knots:
    """The reads themselves as knots, the counter taken as exact to one change of it."""
    time, counter = trace.energy[:, 0], trace.energy[:, 2]
    changed = time[np.concatenate(([True], np.diff(counter) != 0))]
    period = float(np.median(np.diff(changed))) if len(changed) > 1 else float(time[-1] - time[0])
    return Knots("continuous", time, counter, (time - time[0]) / period, period, period / WIDTHS_PER_SD)


def _known_grid(trace: Trace, lo: Floats, hi: Floats) -> Grid | None:
    """The grid that the whole recording shows, where the trace's own steps are on it."""
    if ORIGIN_S not in trace.extra or not len(lo):
        return None
    origin, period, phase_sd = (float(trace.extra[key]) for key in (ORIGIN_S, PERIOD_S, PHASE_SD_S))
    last = origin + np.floor((hi + LATE_S - origin) / period) * period
    votes = float(np.count_nonzero(last > lo - LATE_S))
    return Grid(origin, period, 0.0, phase_sd, votes) if votes >= (1 - SCATTERED) * len(lo) else None


def _between_reads(lo: Floats, hi: Floats, level: Floats) -> Knots:
    time = (lo + hi) / 2
    period = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    width = float(np.median(hi - lo)) if len(time) else 0.0
    return Knots("irregular", time, level, (time - time[:1]) / period, period, width / WIDTHS_PER_SD)


def _on_grid(grid: Grid, before: Floats, counter: Floats, lo: Floats, hi: Floats) -> Knots:
    """The counter's value after each step of the grid that a read tells without doubt."""
    late = min(LATE_S, grid.period / 8)
    time_sd = float(np.hypot(grid.phase_sd, grid.period_sd * (hi[-1] - lo[0]) / grid.period / 4))
    nearest = grid.origin + np.round(((lo + hi) / 2 - grid.origin) / grid.period) * grid.period
    off = (np.maximum(lo - late - nearest, nearest - hi - late) > 0) & (hi - lo < grid.period)
    # A read close to a step may belong to either side of it, so it says nothing.
    place = (before - grid.origin) / grid.period
    index = np.floor(place)
    margin = min(late + time_sd, grid.period / 4) / grid.period
    safe = np.flatnonzero((place - index > margin) & (place - index < 1 - margin / 2))
    index, first = np.unique(index[safe], return_index=True)
    level = counter[safe[first]]
    # The counter grows at each step, so of equal levels only the one next to a seen change is one; a stall is a gap.
    start = level == counter[0]
    fresh = np.concatenate(([True], np.diff(level) != 0)) & ~start
    fresh[np.flatnonzero(start)[-1:]] = True
    index, level = index[fresh], level[fresh]
    time, outliers = grid.origin + index * grid.period, int(np.count_nonzero(off))
    return Knots(
        "grid", time, level, index, grid.period, time_sd, grid.period_sd, outliers, _jumped(off), grid.ambiguous
    )


def _jumped(off: NDArray[np.bool_]) -> bool:
    """Whether changes are off the grid after some time and on it before, or the other way round."""
    after = np.arange(len(off))[None, :] >= np.arange(2, len(off) - 1)[:, None]
    agreement = np.mean(after == off, axis=1)
    return bool(np.any(np.maximum(agreement, 1 - agreement) >= AGREEMENT) and np.count_nonzero(off) > 1)


def _period_by_power(knots: Knots, trace: Trace) -> float | None:
    """The period (s) that makes idle steps of the counter agree with idle instant power."""
    late = trace.t1 + 2 * knots.period
    step = knots.idle_step(knots.before(trace.t0), knots.after(late))
    time, power = trace.power[:, 0], trace.power[:, 1]
    quiet = power[((time <= trace.t0) | (time >= late)) & np.isfinite(power)]
    return float(step / np.median(quiet)) if step is not None and len(quiet) and np.median(quiet) > 0 else None
