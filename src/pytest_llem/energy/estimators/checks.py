"""What the counter's steps, the second source and the result itself say about how far to trust a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.bracketed import UNALIKE, Bracket
from pytest_llem.energy.estimators.grid import MIN_STEPS
from pytest_llem.energy.estimators.interval import Z95
from pytest_llem.energy.estimators.knots import IDLE_S, Knots
from pytest_llem.energy.estimators.lag import FAINT, Lag
from pytest_llem.energy.estimators.shape import POLLED_S, power_boundaries
from pytest_llem.energy.trace import Trace

DISAGREE = 0.05  # relative difference of two sources above which neither is believed
UNSETTLED = (
    0.09  # relative difference of early and late power; an H200 at its limit shows 10 to 32 %, below it 0 to 8 %
)
TELLING = 0.055  # a standard deviation of that difference with which windows of 0.15 s can mostly be told
EARLY_S = 0.1  # s; an H200 at its limit draws 30 to 40 % more for so long, then the limit holds
EDGE_S = 0.0012  # s; spread of the steps' times against the window's edges (H200: lateness, how sharply work starts)
OFF_GRID = 0.1  # share of steps off the grid above which it is no strict one
OVERRUN_S = 0.035  # s of work that no lag explains (an H200's is 9 ms)
HOLE = 3.0  # a pause between reads so many times longer than usual was not meant
WIDE = 0.1  # half an interval above this share of the energy says little
OVER_LIMIT = 1.1  # mean power of a load at its limit stays within some percent of the limit,
SURGE_S = 1.0  # s; but only over so long a time: at first a load may draw half as much again
GAP_S = "counter_gap_s"  # in Trace.extra: the longest pause (s) between counter reads that a recorder makes on purpose
POWER_LIMIT_W = "power_limit_w"  # in Trace.extra: the device's limit (W)


@dataclass(frozen=True)
class CrossCheck:
    """Integrated power against the counter over the whole recording: relative difference, its standard deviation."""

    difference: float
    sd: float


def check_steps(trace: Trace, knots: Knots) -> tuple[str, ...]:
    """Codes for steps that are missing or do not fit the grid."""
    if knots.rhythm == "continuous":
        return ()
    if len(knots.time) < MIN_STEPS:
        return ("too_few_samples",)
    codes = []
    if _holes(trace, knots) or _stalls(trace, knots):
        codes.append("missing_ticks")
    if knots.jumped:
        codes.append("clock_jump")
    elif knots.rhythm == "irregular" or len(knots.outliers) > OFF_GRID * (knots.index[-1] - knots.index[0]):
        codes.append("irregular_steps")
    return tuple(codes)


def _holes(trace: Trace, knots: Knots) -> bool:
    """Pauses between reads in which steps were lost, other than those that the recorder meant to make."""
    read = trace.energy[:, 0]
    start, end, pause = read[:-1], read[1:], np.diff(read)
    meant = float(trace.extra.get(GAP_S, "0"))
    # Where idle meets the window all steps are needed; a pause begun inside it may reach past its end.
    needed = (start < trace.t0 + knots.period) & (end > trace.t0 - knots.period)
    needed |= (start < trace.t1 + knots.period) & (end > trace.t1 + knots.period)
    needed &= (start > trace.t0) | (end < trace.t1)  # a window may be left alone as a whole
    usual = max(HOLE * float(np.median(pause)), knots.period)
    return bool(np.any(pause > np.where(needed, usual, max(usual, meant))))


def _stalls(trace: Trace, knots: Knots) -> bool:
    """Times of more than two periods in which the counter was read and stood still."""
    read, level = trace.energy[:, 0], trace.energy[:, 2]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(level) != 0) + 1))
    ends = np.concatenate((starts[1:] - 1, [len(read) - 1]))
    return bool(np.any(read[ends] - read[starts] > 2 * knots.period))


def check_bracket(trace: Trace, knots: Knots, bracket: Bracket | None) -> tuple[str, ...]:
    """``no_bracket`` when a side was not idle: missing, above the window's mean power, or work went on after the end.

    Two periods after the end instant power has surely been renewed.
    """
    if bracket is None or bracket.idle_power * (1 - UNALIKE) > bracket.energy / (trace.t1 - trace.t0):
        return ("no_bracket",)
    time, power = trace.power[:, 0], trace.power[:, 1]
    late = power[(time > trace.t1 + 2 * knots.period) & (time <= trace.t1 + 2 * knots.period + IDLE_S)]
    quiet = power[time <= trace.t0]
    busy = bool(len(late) and len(quiet) and np.median(late) > (1 + UNALIKE) * np.median(quiet))
    return ("no_bracket",) if knots.rhythm == "grid" and (busy or _overrun(trace, knots, bracket)) else ()


def _overrun(trace: Trace, knots: Knots, bracket: Bracket) -> bool:
    """Whether the first step after the window still lacks more energy than a lag can hold back: work went on."""
    after = np.flatnonzero(knots.time >= trace.t1)[: knots.idle_count + 1]
    first = max(0, int(np.searchsorted(knots.time, trace.t0)) - 1)
    around = first + np.flatnonzero(knots.time[first:] < trace.t1 + 2 * knots.period)
    if len(after) < 2 or len(around) < 2:
        return False
    busiest = float(np.max(np.diff(knots.energy[around]) / np.diff(knots.time[around]))) - bracket.idle_power
    elapsed = knots.time[after[-1]] - knots.time[after[0]]
    lacking = knots.energy[after[-1]] - knots.energy[after[0]] - bracket.idle_power * elapsed
    return busiest > FAINT * bracket.idle_power and bool(lacking > OVERRUN_S * busiest)


def cross_check(trace: Trace, knots: Knots) -> CrossCheck | None:
    """Compare the counter with instant power; None where either says nothing."""
    time, power = trace.power[:, 0], trace.power[:, 1]
    if len(time) < 3 or np.any(np.isnan(power)) or len(knots.time) < 2:
        return None
    first, last = max(time[0], knots.time[0]), min(time[-1], knots.time[-1])
    counter = float(np.diff(np.interp([first, last], knots.time, knots.energy))[0])
    if not last > first or not counter > 0:
        return None
    total = np.concatenate(([0.0], np.cumsum(np.diff(time) * power[:-1])))
    integral = float(np.diff(np.interp([first, last], time, total))[0])
    renewed = time[np.flatnonzero(np.diff(power) != 0) + 1]
    step = max(float(np.median(np.diff(renewed))) if len(renewed) > 2 else 0.0, float(np.median(np.diff(time))))
    # When within a step of the power field the load changed is not known.
    unseen = step * float(np.sqrt(np.sum(np.diff(power) ** 2) / 3))
    return CrossCheck((integral - counter) / counter, unseen / counter)


def check_sources(trace: Trace, knots: Knots, bracket: Bracket | None) -> tuple[str, ...]:
    """``sources_disagree`` when power and counter differ over the recording, or at idle, where both are sharp."""
    cross = cross_check(trace, knots)
    apart = cross is not None and abs(cross.difference) > DISAGREE + Z95 * cross.sd
    quiet = trace.power[trace.power[:, 0] <= trace.t0, 1]
    if cross is not None and bracket is not None and knots.rhythm == "grid" and len(quiet):
        apart |= bool(abs(np.median(quiet) - bracket.idle_power) > DISAGREE * bracket.idle_power)
    return ("sources_disagree",) if apart else ()


def check_result(trace: Trace, energy: float, interval: tuple[float, float]) -> tuple[str, ...]:
    """Codes for the figures themselves."""
    codes = []
    limit, length = float(trace.extra.get(POWER_LIMIT_W, "inf")), trace.t1 - trace.t0
    if length > SURGE_S and energy / length > OVER_LIMIT * limit:
        codes.append("power_above_limit")
    if interval[1] - interval[0] > 2 * WIDE * energy:
        codes.append("window_too_short")
    return tuple(codes)


def settled(trace: Trace, knots: Knots, bracket: Bracket, lag: Lag) -> bool | None:
    """Whether mean power early in the window and after that agree; None where nothing parts it well enough to tell.

    For windows of one kind of work: phases differ by nature.
    """
    length, mean = trace.t1 - trace.t0, bracket.energy / (trace.t1 - trace.t0)
    inside = np.flatnonzero((knots.time > trace.t0 + 2 * lag.value) & (knots.time < trace.t1))
    aim = trace.t0 + min(EARLY_S + lag.value, length / 2)
    if not np.any(np.abs(knots.time[inside] - aim) <= knots.period):
        return _settled_by_power(trace, bracket)
    tick = inside[np.argmin(np.abs(knots.time[inside] - aim))]
    early_s = float(knots.time[tick]) - trace.t0
    early_j = float(knots.energy[tick]) - bracket.start_level + (mean - bracket.idle_power) * lag.value
    early, late = early_j / early_s, (bracket.energy - early_j) / (length - early_s)
    sd = float(np.hypot(EDGE_S, knots.time_sd)) * mean * (1 / early_s + 1 / (length - early_s))
    return _same(early, late, sd, mean)


def _settled_by_power(trace: Trace, bracket: Bracket) -> bool | None:
    """The same from the driver's own power samples, for a window without a step inside."""
    length, mean = trace.t1 - trace.t0, bracket.energy / (trace.t1 - trace.t0)
    if len(trace.power) < 2 or float(np.median(np.diff(trace.power[:, 0]))) > POLLED_S:
        return None
    early_s = min(EARLY_S, length / 2)
    found = power_boundaries(trace, np.array([trace.t0, trace.t0 + early_s, trace.t1]), bracket.energy, bracket.sd)
    if found is None:
        return None
    early, late = float(found.energy[1]) / early_s, (bracket.energy - float(found.energy[1])) / (length - early_s)
    sd = found.sum_sd(np.array([0.0, 1.0, 0.0])) * (1 / early_s + 1 / (length - early_s))
    return _same(early, late, sd, mean)


def _same(early: float, late: float, sd: float, mean: float) -> bool | None:
    change = abs(early - late)
    if change > max(UNSETTLED * mean, 2 * sd):
        return False
    return True if change <= UNSETTLED * mean and sd <= TELLING * mean else None
