"""What samples, the counter's steps, the second source and the result itself say about how far to trust a result."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from pytest_llem.energy.estimators.bracketed import FAINT, UNALIKE, Bracket, Lag
from pytest_llem.energy.estimators.grid import MIN_STEPS
from pytest_llem.energy.estimators.interval import Z95, Interval
from pytest_llem.energy.estimators.knots import IDLE_S, Knots
from pytest_llem.energy.estimators.shape import POLLED_S, power_boundaries
from pytest_llem.energy.estimators.simple import PAUSE, renewal_s, running_total, unseen_power
from pytest_llem.energy.trace import GAP_S, ORIGIN_S, POWER_LIMIT_W, Floats, Trace

DISAGREE = 0.05  # relative difference of two sources above which neither is believed
UNSETTLED = 0.09  # relative difference of early and late power; an H200 at its limit: 10 to 32 %, below it 0 to 8 %
TELLING = 0.055  # a standard deviation of that difference with which windows of 0.15 s can mostly be told
EARLY_S = 0.1  # s; an H200 at its limit draws 30 to 40 % more for so long, then the limit holds
EDGE_S = 0.0012  # s; spread of the steps' times against the window's edges (H200: lateness, how sharply work starts)
OFF_GRID = 0.1  # share of steps off the grid above which it is no strict one
OVERRUN_S = 0.035  # s of work that no lag explains (an H200's is 9 ms)
WIDE = 0.1  # half an interval above this share of the energy says little
OVER_LIMIT = 1.1  # mean power of a load at its limit stays within some percent of the limit,
SURGE_S = 1.0  # s; but only over so long a time: at first a load may draw half as much again


def check_samples(trace: Trace, uses_counter: bool) -> Iterable[str]:
    """Codes for what is wrong with the bare samples; ``uses_counter`` says which source has to cover the window."""
    source = trace.energy if uses_counter else trace.power
    if not _window_in_order(trace):
        yield "bad_window"
    elif len(source) < 3 or not (uses_counter or np.any(np.isfinite(trace.watts))):
        yield "too_few_samples"
    else:
        if not _finite(trace):
            yield "not_finite"
        if np.any(np.diff(trace.energy[:, :2].reshape(-1)) < 0) or np.any(np.diff(trace.power[:, 0]) < 0):
            yield "clock_jump"
        if np.any(np.diff(trace.energy[:, 2]) < 0):
            yield "counter_reset"
        if not source[-1, 0] >= trace.t1:
            yield "device_lost"
        if not source[0, 0] <= trace.t0:
            yield "samples_start_late"
        if not uses_counter and not np.any(trace.watts > 0):
            yield "missing_ticks"


def _window_in_order(trace: Trace) -> bool:
    times = [trace.t0, *(mark.end for mark in trace.marks), trace.t1]
    increasing = all(a < b for a, b in pairwise(times[:-1])) and times[-2] <= trace.t1
    finite = np.all(np.isfinite([*times, *(mark.units for mark in trace.marks)]))
    return bool(finite) and increasing and trace.t0 < trace.t1


def _finite(trace: Trace) -> bool:
    """A power column may be missing as a whole (a meter without that field), but not here and there."""
    columns = [column for column in trace.power.T if not np.all(np.isnan(column))]
    return all(bool(np.all(np.isfinite(x))) for x in (trace.energy, *columns))


def check_steps(trace: Trace, knots: Knots) -> Iterable[str]:
    """Codes for steps that are missing or do not fit the grid."""
    if knots.rhythm == "continuous":
        return
    if len(knots.time) < MIN_STEPS:
        yield "too_few_samples"
        return
    if _holes(trace, knots) or _stalls(trace, knots):
        yield "missing_ticks"
    if knots.jumped:
        yield "clock_jump"
    elif knots.rhythm == "irregular" or knots.outliers > OFF_GRID * (knots.index[-1] - knots.index[0]):
        yield "irregular_steps"


def _holes(trace: Trace, knots: Knots) -> bool:
    """Pauses between reads in which steps were lost, other than those that the recorder meant to make."""
    read = trace.energy[:, 0]
    start, end, pause = read[:-1], read[1:], np.diff(read)
    meant = float(trace.extra.get(GAP_S, "0"))
    # Where idle meets the window all steps are needed; a pause begun inside it may reach past its end.
    needed = (start < trace.t0 + knots.period) & (end > trace.t0 - knots.period)
    needed |= (start < trace.t1 + knots.period) & (end > trace.t1 + knots.period)
    needed &= (start > trace.t0) | (end < trace.t1)  # a window may be left alone as a whole
    usual = max(PAUSE * float(np.median(pause)), knots.period)
    return bool(np.any(pause > np.where(needed, usual, max(usual, meant))))


def _stalls(trace: Trace, knots: Knots) -> bool:
    """Times of more than two periods in which the counter was read and stood still."""
    read, level = trace.energy[:, 0], trace.energy[:, 2]
    change = np.flatnonzero(np.diff(level))
    starts, ends = np.concatenate(([0], change + 1)), np.concatenate((change, [len(read) - 1]))
    return bool(np.any(read[ends] - read[starts] > 2 * knots.period))


def check_bracket(trace: Trace, knots: Knots, bracket: Bracket | None) -> Iterable[str]:
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
    after = knots.after(trace.t1)[: knots.idle_count + 1]
    first = max(0, int(np.searchsorted(knots.time, trace.t0)) - 1)
    around = slice(first, int(np.searchsorted(knots.time, trace.t1 + 2 * knots.period)))
    if len(after) < 2 or len(knots.time[around]) < 2:
        return False
    busiest = float(np.max(np.diff(knots.energy[around]) / np.diff(knots.time[around]))) - bracket.idle_power
    elapsed = knots.time[after[-1]] - knots.time[after[0]]
    lacking = knots.energy[after[-1]] - knots.energy[after[0]] - bracket.idle_power * elapsed
    return busiest > FAINT * bracket.idle_power and bool(lacking > OVERRUN_S * busiest)


def cross_check(trace: Trace, knots: Knots) -> tuple[float, float] | None:
    """Integrated instant power against the counter over the whole recording: relative difference, its standard
    deviation; None where either says nothing."""
    time, power = trace.power[:, 0], trace.power[:, 1]
    if len(time) < 3 or np.any(np.isnan(power)) or len(knots.time) < 2:
        return None
    both = np.array([max(time[0], knots.time[0]), min(time[-1], knots.time[-1])])
    counter = float(np.diff(np.interp(both, knots.time, knots.energy))[0])
    if not both[1] > both[0] or not counter > 0:
        return None
    step = renewal_s(time, power)
    totals = (running_total(time, rate) for rate in (power[:-1], unseen_power(time, power, step)))
    integral, lost = (float(np.diff(np.interp(both, time, total))[0]) for total in totals)
    # When within a step of the power field the load changed is not known.
    unseen = np.hypot(step * float(np.sqrt(np.sum(np.diff(power) ** 2) / 3)), lost)
    return (integral - counter) / counter, float(unseen) / counter


def check_sources(
    trace: Trace, knots: Knots, bracket: Bracket | None, cross: tuple[float, float] | None
) -> Iterable[str]:
    """``sources_disagree`` when power and counter differ over the recording, or at idle, where both are sharp."""
    if cross is None:
        return
    quiet = trace.power[trace.power[:, 0] <= trace.t0, 1]
    differ = abs(cross[0]) > DISAGREE + Z95 * cross[1]
    if bracket is not None and knots.rhythm == "grid" and len(quiet):
        # With few steps at hand idle power is vague; but on a grid of its own, it may be the period that is wrong.
        idle = bracket.counted
        vague = Z95 * idle.sd if ORIGIN_S in trace.extra else 0.0
        differ |= bool(abs(np.median(quiet) - idle.power) > DISAGREE * idle.power + vague)
    if differ:
        yield "sources_disagree"


def check_result(trace: Trace, energy: float, interval: Interval) -> Iterable[str]:
    """Codes for the figures themselves."""
    limit, length = float(trace.extra.get(POWER_LIMIT_W, "inf")), trace.t1 - trace.t0
    if length > SURGE_S and energy / length > OVER_LIMIT * limit:
        yield "power_above_limit"
    if interval[1] - interval[0] > 2 * WIDE * energy:
        yield "window_too_short"


def settled(trace: Trace, knots: Knots, bracket: Bracket, lag: Lag) -> bool | None:
    """Whether mean power early in the window and after that agree; None where nothing parts it well enough to tell.

    For windows of one kind of work: phases differ by nature.
    """
    length, mean = trace.t1 - trace.t0, bracket.energy / (trace.t1 - trace.t0)
    found = _early_by_counter(trace, knots, bracket, lag) or _early_by_power(trace, bracket)
    if found is None:
        return None
    early_s, early_j, sd_j = found
    change = abs(early_j / early_s - (bracket.energy - early_j) / (length - early_s))
    sd = sd_j * (1 / early_s + 1 / (length - early_s))
    if change > max(UNSETTLED * mean, 2 * sd):
        return False
    return True if change <= UNSETTLED * mean and sd <= TELLING * mean else None


def _early_by_counter(trace: Trace, knots: Knots, bracket: Bracket, lag: Lag) -> tuple[float, float, float] | None:
    """How long the first part of a window is (s), about EARLY_S, its energy (J) and that one's standard deviation."""
    length, mean = trace.t1 - trace.t0, bracket.energy / (trace.t1 - trace.t0)
    inside = np.flatnonzero((knots.time > trace.t0 + 2 * lag.value) & (knots.time < trace.t1))
    away = np.abs(knots.time[inside] - trace.t0 - min(EARLY_S + lag.value, length / 2))
    if not np.any(away <= knots.period):
        return None
    tick = inside[np.argmin(away)]
    early_j = float(knots.energy[tick]) - bracket.start_level + (mean - bracket.idle_power) * lag.value
    return float(knots.time[tick]) - trace.t0, early_j, float(np.hypot(EDGE_S, knots.time_sd)) * mean


def _early_by_power(trace: Trace, bracket: Bracket) -> tuple[float, float, float] | None:
    """The same from the driver's own power samples, for a window without a step inside."""
    if len(trace.power) < 2 or float(np.median(np.diff(trace.power[:, 0]))) > POLLED_S:
        return None
    early_s = min(EARLY_S, (trace.t1 - trace.t0) / 2)
    times: Floats = np.array([trace.t0, trace.t0 + early_s, trace.t1])
    found = power_boundaries(trace, times, bracket.energy, bracket.sd)
    return None if found is None else (early_s, *found.sum(np.array([0.0, 1.0, 0.0])))
