"""One trace in, one :class:`TraceEnergy` out: check, choose the method, evaluate, check again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pytest_llem.energy.estimators import checks
from pytest_llem.energy.estimators.bracketed import Bracket, Lag, bracketed, find_lag, sampled_idle
from pytest_llem.energy.estimators.interval import PART_VARIATION, VARIATION, Interval, window_interval
from pytest_llem.energy.estimators.knots import Knots, find_knots
from pytest_llem.energy.estimators.phases import inner_boundaries
from pytest_llem.energy.estimators.result import TraceEnergy, WindowEnergy
from pytest_llem.energy.estimators.shape import power_boundaries
from pytest_llem.energy.estimators.simple import Boundaries, counter_delta, counter_interpolated, power_integral
from pytest_llem.energy.trace import Floats, Trace
from pytest_llem.energy.validity import FATAL

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
    notes = []
    no_counter = trace.extra.get("source") in (None, "nvml_power", "replay") and not len(trace.energy)
    if method != "power_integral" and no_counter and len(trace.power):
        notes.append(f"{method} needs an energy counter; this meter has none, so its power was integrated")
        method = "power_integral"
    reasons = list(checks.check_samples(trace, uses_counter=method != "power_integral"))
    if method == "bracketed" and {"samples_start_late", "device_lost"}.intersection(reasons):
        reasons.append("no_bracket")
    counter = None if FATAL.intersection(reasons) else _look(trace)
    if counter is not None and method != "power_integral":
        reasons += checks.check_steps(trace, counter.knots)
        if method == "bracketed":
            reasons += checks.check_bracket(trace, counter.knots, counter.bracket)
    windows = tuple(WindowEnergy(*part, energy_j=None, ci95=None) for part in trace.parts())
    nothing = TraceEnergy(trace.name, method, None, None, windows, reasons=tuple(reasons), notes=tuple(notes))
    if FATAL.intersection(reasons):
        return nothing
    found = _evaluate(nothing, trace, counter)
    if found.valid:
        return found
    return replace(found, energy_j=None, ci95=None, mean_power_w=None, windows=windows, labels={})


def _look(trace: Trace) -> _Counter | None:
    if len(trace.energy) < 2:
        return None
    knots, parts = find_knots(trace), trace.parts()
    lag = find_lag(knots, trace.t0, trace.t1, parts[-1][2] if parts else trace.t0)
    return _Counter(knots, lag, bracketed(knots, trace.t0, trace.t1, lag, sampled_idle(trace, knots)))


def _evaluate(nothing: TraceEnergy, trace: Trace, counter: _Counter | None) -> TraceEnergy:
    """``nothing`` with energies, and with what is found out about them."""
    method, reasons, notes = nothing.method, [*nothing.reasons], nothing.notes
    if method == "power_integral" and np.any(np.isnan(trace.power[:, 1])):
        notes += ("only average power is known; it lags by up to a second",)
    times = np.array([trace.t0, *(mark.end for mark in trace.marks)])
    times = times if trace.marks and times[-1] == trace.t1 else np.append(times, trace.t1)
    found = _boundaries(trace, method, counter, times)
    bracket = counter.bracket if counter else None
    energy = float(found.energy[-1] - found.energy[0])
    interval = window_interval(energy, bracket.sd if method == "bracketed" and bracket else _ends_sd(found))
    settled, cross = None, None
    if counter is not None:
        if bracket is not None and len({mark.label for mark in trace.marks}) < 2:
            settled = checks.settled(trace, counter.knots, bracket, counter.lag)
            reasons += () if settled else ("power_not_settled",)
        cross = checks.cross_check(trace, counter.knots)
        reasons += checks.check_sources(trace, counter.knots, bracket, cross)
    windows, labels = _parts(trace, found)
    return replace(
        nothing,
        energy_j=energy,
        ci95=interval,
        windows=windows,
        labels=labels,
        idle_power_w=bracket.idle_power if bracket else None,
        mean_power_w=energy / (trace.t1 - trace.t0),
        settled=settled,
        cross_check=("power", cross[0]) if cross else None,
        reasons=(*reasons, *checks.check_result(trace, energy, interval)),
        notes=notes,
    )


def _boundaries(trace: Trace, method: str, counter: _Counter | None, times: Floats) -> Boundaries:
    if counter is not None and method == "bracketed" and counter.bracket is not None:
        bracket = counter.bracket
        by_power = power_boundaries(trace, times, bracket.energy, bracket.sd) if len(times) > 2 else None
        return inner_boundaries(counter.knots, times, bracket, counter.lag, by_power)
    if counter is not None and method == "counter_interpolated":
        return counter_interpolated(counter.knots, times)
    return counter_delta(trace.energy, times) if method == "counter_delta" else power_integral(trace, times)


def _parts(trace: Trace, found: Boundaries) -> tuple[tuple[WindowEnergy, ...], dict[str, tuple[float, Interval]]]:
    """The energy of each part, and of all parts of each label; each within nothing and what the whole window may be."""
    count = len(trace.marks)  # there may be tens of thousands: one for each batch of many short ones
    labels = {mark.label: np.zeros(len(found.energy)) for mark in trace.marks}
    for i, mark in enumerate(trace.marks):
        labels[mark.label][i : i + 2] += (-1.0, 1.0)
    variation = PART_VARIATION if len(labels) > 1 else VARIATION
    most = window_interval(float(found.energy[-1] - found.energy[0]), _ends_sd(found))[1]

    def figure(energy: float, sd: float) -> tuple[float, Interval]:
        low, high = window_interval(energy, sd, variation)
        return energy, (low, max(energy, min(high, most)))

    energies, sds = np.diff(found.energy)[:count].tolist(), found.part_sd()[:count].tolist()
    windows = (WindowEnergy(*part, *figure(e, sd)) for part, e, sd in zip(trace.parts(), energies, sds, strict=False))
    return tuple(windows), {label: figure(*found.sum(signs)) for label, signs in labels.items()}


def _ends_sd(found: Boundaries) -> float:
    signs = np.zeros(len(found.energy))
    signs[[0, -1]] = (-1.0, 1.0)
    return found.sum(signs)[1]
