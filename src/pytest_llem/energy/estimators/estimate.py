"""One trace in, one :class:`TraceEnergy` out: choose the method, check, evaluate, check again."""

from __future__ import annotations

import numpy as np

from pytest_llem.energy.estimators import checks
from pytest_llem.energy.estimators.bracketed import Bracket, bracketed
from pytest_llem.energy.estimators.grid import Floats, Knots, find_knots
from pytest_llem.energy.estimators.interval import Z95, window_interval
from pytest_llem.energy.estimators.phases import inner_boundaries
from pytest_llem.energy.estimators.result import TraceEnergy, WindowEnergy
from pytest_llem.energy.estimators.simple import Boundaries, counter_delta, counter_interpolated, power_integral
from pytest_llem.energy.trace import Trace
from pytest_llem.energy.validity import FATAL, check_samples

METHODS: tuple[str, ...] = ("bracketed", "counter_interpolated", "counter_delta", "power_integral")

LAG_S = 0.009  # s; the one-pole through which an H200's counter sees power
POWER_LIMIT_W = "power_limit_w"  # in Trace.extra: the device's limit (W)
OVER_LIMIT = 1.1  # mean power of a settled load stays within some percent of the limit


def estimate(trace: Trace, method: str = "bracketed") -> TraceEnergy:
    """The energy of a trace and of each of its marked parts.

    A trace without counter reads is integrated from its power, one whose counter has no steps (RAPL, CPU time) is
    interpolated; ``TraceEnergy.method`` names what was really used. Anything that makes the number doubtful is in
    ``reasons``; with a fatal one there is no energy. Raises ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; one of {', '.join(METHODS)}")
    notes = []
    if method != "power_integral" and not len(trace.energy) and len(trace.power):
        notes.append(f"{method} needs an energy counter; this meter has none, so power was integrated")
        method = "power_integral"
    broken = check_samples(trace, uses_counter=method != "power_integral")
    if FATAL.intersection(broken):
        return _nothing(trace, method, broken, notes)
    knots = find_knots(trace) if len(trace.energy) > 2 else None
    if method == "bracketed" and knots is not None and not knots.gridded:
        notes.append("the counter has no steps to bracket, so it was interpolated between reads")
        method = "counter_interpolated"
    reasons = list(broken)
    if knots is not None and method != "power_integral":
        reasons += checks.check_steps(trace, knots)
    bracket = bracketed(knots, trace.t0, trace.t1, LAG_S) if knots is not None and knots.gridded else None
    if method == "bracketed" and bracket is None:
        reasons.append("no_bracket")
    if FATAL.intersection(reasons):
        return _nothing(trace, method, tuple(reasons), notes)
    times = np.array([trace.t0, *(mark.end for mark in trace.marks)])
    times = times if trace.marks and times[-1] == trace.t1 else np.append(times, trace.t1)
    found = _boundaries(trace, method, knots, bracket, times)
    return _result(trace, method, found, knots, bracket, reasons, notes)


def _boundaries(trace: Trace, method: str, knots: Knots | None, bracket: Bracket | None, times: Floats) -> Boundaries:
    if method == "bracketed" and knots is not None and bracket is not None:
        return inner_boundaries(knots, times, bracket, LAG_S)
    if method == "counter_interpolated" and knots is not None:
        return counter_interpolated(knots, times)
    if method == "counter_delta":
        return counter_delta(trace.energy, times)
    column = 1 if not np.any(np.isnan(trace.power[:, 1])) else 2
    return power_integral(trace.power[:, 0], trace.power[:, column], times)


def _result(
    trace: Trace,
    method: str,
    found: Boundaries,
    knots: Knots | None,
    bracket: Bracket | None,
    reasons: list[str],
    notes: list[str],
) -> TraceEnergy:
    energy = float(found.energy[-1] - found.energy[0])
    sd = bracket.sd if method == "bracketed" and bracket else float(np.hypot(found.sd[0], found.sd[-1]))
    interval = window_interval(energy, sd)
    settled = None
    cross = None
    if knots is not None and bracket is not None:
        settled = checks.settled(knots, trace, bracket.energy, bracket.idle_power, LAG_S)
    if knots is not None and (check := checks.cross_check(trace, knots)) is not None:
        cross = ("counter" if method == "power_integral" else "power", check[0])
        if abs(check[0]) > checks.DISAGREE + Z95 * check[1]:
            reasons.append("sources_disagree")
    mean = energy / (trace.t1 - trace.t0)
    limit = float(trace.extra.get(POWER_LIMIT_W, "inf"))
    if settled is not False and mean > OVER_LIMIT * limit:
        reasons.append("power_above_limit")
    if settled is False:
        reasons.append("power_not_settled")
    if interval[1] - interval[0] > 0.2 * energy:
        reasons.append("window_too_short")
    if method == "power_integral" and np.any(np.isnan(trace.power[:, 1])):
        notes.append("only average power is known; it lags by up to a second")
    return TraceEnergy(
        name=trace.name,
        method=method,
        energy_j=energy,
        ci95=interval,
        windows=_windows(trace, found),
        idle_power_w=bracket.idle_power if bracket else None,
        mean_power_w=mean,
        settled=settled,
        cross_check=cross,
        reasons=tuple(reasons),
        notes=tuple(notes),
    )


def _windows(trace: Trace, found: Boundaries) -> tuple[WindowEnergy, ...]:
    energy = np.diff(found.energy)
    sd = np.hypot(found.sd[1:], found.sd[:-1])
    return tuple(
        WindowEnergy(label, units, start, end, float(e), window_interval(float(e), float(s)))
        for (label, units, start, end), e, s in zip(trace.parts(), energy, sd, strict=False)
    )


def _nothing(trace: Trace, method: str, reasons: tuple[str, ...], notes: list[str]) -> TraceEnergy:
    windows = tuple(WindowEnergy(*part, energy_j=None, ci95=None) for part in trace.parts())
    return TraceEnergy(trace.name, method, None, None, windows, reasons=reasons, notes=tuple(notes))
