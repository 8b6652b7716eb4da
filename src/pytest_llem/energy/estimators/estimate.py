"""One trace in, one :class:`TraceEnergy` out: check, choose the method, evaluate, check again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pytest_llem.energy.estimators import checks
from pytest_llem.energy.estimators.bracketed import Bracket, bracketed
from pytest_llem.energy.estimators.grid import Floats
from pytest_llem.energy.estimators.interval import PART_VARIATION, VARIATION, window_interval
from pytest_llem.energy.estimators.knots import Knots, find_knots, read_knots
from pytest_llem.energy.estimators.lag import Lag, find_lag
from pytest_llem.energy.estimators.phases import inner_boundaries
from pytest_llem.energy.estimators.result import Interval, TraceEnergy, WindowEnergy
from pytest_llem.energy.estimators.shape import power_boundaries
from pytest_llem.energy.estimators.simple import Boundaries, counter_delta, counter_interpolated, power_integral
from pytest_llem.energy.trace import Trace
from pytest_llem.energy.validity import FATAL, check_samples

METHODS: tuple[str, ...] = ("bracketed", "counter_interpolated", "counter_delta", "power_integral")


@dataclass(frozen=True)
class _Counter:
    """What the counter's reads show: its knots, its lag, and the bracketed energy where there is idle time."""

    knots: Knots
    lag: Lag
    bracket: Bracket | None


def estimate(trace: Trace, method: str = "bracketed") -> TraceEnergy:
    """The energy of a trace and of each of its marked parts.

    A trace without counter reads is integrated from its power; ``TraceEnergy.method`` names what was really used.
    Anything that makes the number doubtful is in ``reasons``; with a fatal one there is no energy.
    Raises ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; one of {', '.join(METHODS)}")
    notes: list[str] = []
    if method != "power_integral" and not len(trace.energy) and len(trace.power):
        notes.append(f"{method} needs an energy counter; this meter has none, so its power was integrated")
        method = "power_integral"
    reasons = check_samples(trace, uses_counter=method != "power_integral")
    if method == "bracketed" and {"samples_start_late", "device_lost"}.intersection(reasons):
        reasons += ("no_bracket",)
    counter = None if FATAL.intersection(reasons) else _look(trace)
    if counter is not None and method != "power_integral":
        reasons += checks.check_steps(trace, counter.knots)
        if method == "bracketed":
            reasons += checks.check_bracket(trace, counter.knots, counter.bracket)
    if FATAL.intersection(reasons):
        return _nothing(TraceEnergy(trace.name, method, None, None, (), reasons=reasons, notes=tuple(notes)), trace)
    result = _evaluate(trace, method, counter, reasons, notes)
    return result if result.valid else _nothing(result, trace)


def _nothing(result: TraceEnergy, trace: Trace) -> TraceEnergy:
    """The result without the energies that its reasons forbid to believe."""
    windows = tuple(WindowEnergy(*part, energy_j=None, ci95=None) for part in trace.parts())
    return replace(result, energy_j=None, ci95=None, mean_power_w=None, windows=windows, labels={})


def _look(trace: Trace) -> _Counter | None:
    if len(trace.energy) < 2:
        return None
    knots = find_knots(trace)
    parts = trace.parts()
    lag = find_lag(knots, trace.t0, trace.t1, parts[-1][2] if parts else trace.t0)
    return _Counter(knots, lag, bracketed(knots, trace.t0, trace.t1, lag))


def _evaluate(
    trace: Trace, method: str, counter: _Counter | None, reasons: tuple[str, ...], notes: list[str]
) -> TraceEnergy:
    times = np.array([trace.t0, *(mark.end for mark in trace.marks)])
    times = times if trace.marks and times[-1] == trace.t1 else np.append(times, trace.t1)
    if method == "power_integral" and np.any(np.isnan(trace.power[:, 1])):
        notes.append("only average power is known; it lags by up to a second")
    found = _boundaries(trace, method, counter, times)
    bracket = counter.bracket if counter else None
    energy = float(found.energy[-1] - found.energy[0])
    sd = bracket.sd if method == "bracketed" and bracket else float(np.hypot(found.sd[0], found.sd[-1]))
    settled, cross = None, None
    if counter is not None and bracket is not None and len({mark.label for mark in trace.marks}) < 2:
        settled = checks.settled(trace, counter.knots, bracket, counter.lag)
        reasons += () if settled else ("power_not_settled",)
    if counter is not None:
        cross = checks.cross_check(trace, counter.knots)
        reasons += checks.check_sources(trace, counter.knots, bracket)
    interval = window_interval(energy, sd)
    reasons += checks.check_result(trace, energy, interval)
    return TraceEnergy(
        name=trace.name,
        method=method,
        energy_j=energy,
        ci95=interval,
        windows=_windows(trace, found),
        labels=_labels(trace, found),
        idle_power_w=bracket.idle_power if bracket else None,
        mean_power_w=energy / (trace.t1 - trace.t0),
        settled=settled,
        cross_check=("power", cross.difference) if cross else None,
        reasons=reasons,
        notes=tuple(notes),
    )


def _boundaries(trace: Trace, method: str, counter: _Counter | None, times: Floats) -> Boundaries:
    if counter is not None and method == "bracketed" and counter.bracket is not None:
        bracket = counter.bracket
        by_power = power_boundaries(trace, times, bracket.energy, bracket.sd) if len(times) > 2 else None
        return inner_boundaries(counter.knots, times, bracket, counter.lag, by_power)
    if counter is not None and method == "counter_interpolated":
        return counter_interpolated(counter.knots if counter.knots.rhythm == "grid" else read_knots(trace), times)
    if method == "counter_delta":
        return counter_delta(trace.energy, times)
    column = 1 if not np.any(np.isnan(trace.power[:, 1])) else 2
    return power_integral(trace.power[:, 0], trace.power[:, column], times)


def _windows(trace: Trace, found: Boundaries) -> tuple[WindowEnergy, ...]:
    varies = _variation(trace)
    return tuple(
        WindowEnergy(*part, float(energy), _interval(found, float(energy), float(sd), varies))
        for part, energy, sd in zip(trace.parts(), np.diff(found.energy), found.part_sd(), strict=False)
    )


def _labels(trace: Trace, found: Boundaries) -> dict[str, tuple[float, Interval]]:
    """The energy of all parts of each label."""
    ends: dict[str, Floats] = {}
    for i, mark in enumerate(trace.marks):
        taken = ends.setdefault(mark.label, np.zeros(len(found.energy)))
        taken[i + 1] += 1
        taken[i] -= 1
    sums = {label: (float(taken @ found.energy), found.sum_sd(taken)) for label, taken in ends.items()}
    varies = _variation(trace)
    return {label: (energy, _interval(found, energy, sd, varies)) for label, (energy, sd) in sums.items()}


def _variation(trace: Trace) -> float:
    return PART_VARIATION if len({mark.label for mark in trace.marks}) > 1 else VARIATION


def _interval(found: Boundaries, energy: float, sd: float, variation: float) -> Interval:
    """95 % interval of some parts' ``energy``, within nothing and what the whole window may be."""
    low, high = window_interval(energy, sd, variation)
    whole = float(found.energy[-1] - found.energy[0])
    most = window_interval(whole, float(np.hypot(found.sd[0], found.sd[-1])))[1]
    return low, max(energy, min(high, most))
