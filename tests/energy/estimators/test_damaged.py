"""Damaged recordings give no energy and say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llem.energy.estimators import METHODS, estimate
from pytest_llem.energy.trace import Trace
from pytest_llem.energy.validity import REASONS
from tests.energy.estimators.recorded import results, traces

SUBJECTS = [i for i, t in enumerate(traces()) if t.name in {"decode_b32_0.15", "decode_small_0.6", "prefill_0.3"}]


def middle(trace: Trace) -> float:
    return (trace.t0 + trace.t1) / 2


def without(trace: Trace, start: float, end: float) -> Trace:
    read = trace.energy[:, 0]
    return replace(trace, energy=trace.energy[(read < start) | (read > end)])


def clock_set(trace: Trace, at: float, by: float) -> Trace:
    """All that happens after ``at`` carries times that are ``by`` later."""
    energy, power = trace.energy.copy(), trace.power.copy()
    energy[energy[:, 0] > at, :2] += by
    power[power[:, 0] > at, 0] += by
    marks = tuple(replace(mark, end=mark.end + by * (mark.end > at)) for mark in trace.marks)
    return replace(trace, energy=energy, power=power, marks=marks, t1=trace.t1 + by * (trace.t1 > at))


def counter_from(trace: Trace, at: float, change: Callable[[np.ndarray], np.ndarray]) -> Trace:
    energy = trace.energy.copy()
    late = energy[:, 0] > at
    energy[late, 2] = change(energy[late, 2])
    return replace(trace, energy=energy)


def with_value(trace: Trace, field: str, column: int, value: float) -> Trace:
    samples = getattr(trace, field).copy()
    samples[len(samples) // 2, column] = value
    return replace(trace, **{field: samples})


DAMAGE: dict[str, tuple[str, Callable[[Trace], Trace]]] = {
    "steps lost at the start": ("missing_ticks", lambda t: without(t, t.t0 - 0.1, t.t0 + 0.12)),
    "steps lost at the end": ("missing_ticks", lambda t: without(t, t.t1 - 0.1, t.t1 + 0.12)),
    "steps lost inside": ("missing_ticks", lambda t: without(t, middle(t) - 0.15, middle(t) + 0.15)),
    "counter stands still": ("missing_ticks", lambda t: counter_from(t, middle(t), lambda c: np.full_like(c, c[0]))),
    "clock forward by half a second": ("missing_ticks", lambda t: clock_set(t, middle(t), 0.5)),
    "clock forward by a step": ("missing_ticks", lambda t: clock_set(t, t.t1 + 0.2, 0.1)),
    "clock forward by half a step": ("clock_jump", lambda t: clock_set(t, middle(t), 0.05)),
    "clock forward while idle": ("clock_jump", lambda t: clock_set(t, t.t1 + 0.15, 0.05)),
    "clock back": ("clock_jump", lambda t: clock_set(t, t.t1 + 0.1, -0.5)),
    "reset inside": ("counter_reset", lambda t: counter_from(t, middle(t), lambda c: c - c[0])),
    "reset before": ("counter_reset", lambda t: counter_from(t, t.t0 - 0.2, lambda c: c - c[0])),
    "no idle before": ("no_bracket", lambda t: without(t, 0.0, t.t0)),
    "no idle after": ("no_bracket", lambda t: without(t, t.t1, np.inf)),
    "too little idle after": ("no_bracket", lambda t: without(t, t.t1 + 0.03, np.inf)),
    "busy before": ("no_bracket", lambda t: without(replace(t, t0=middle(t)), 0.0, t.t0)),
    "busy after": ("no_bracket", lambda t: replace(t, t1=middle(t), marks=(replace(t.marks[0], end=middle(t)),))),
    "device lost": ("device_lost", lambda t: without(t, middle(t), np.inf)),
    "one sample": ("too_few_samples", lambda t: replace(t, energy=t.energy[:1], power=t.power[:1])),
    "no samples": ("too_few_samples", lambda t: replace(t, energy=t.energy[:0], power=t.power[:0])),
    "counter never moves": ("too_few_samples", lambda t: counter_from(t, 0.0, lambda c: np.full_like(c, c[0]))),
    "no reads of the counter that the meter has": (
        "too_few_samples",
        lambda t: replace(t, energy=t.energy[:0], extra={"source": "nvml_counter"}),
    ),
    "neither counter nor power": ("too_few_samples", lambda t: replace(t, energy=t.energy[:0], power=t.power + np.nan)),
    "power of nothing": ("missing_ticks", lambda t: replace(t, energy=t.energy[:0], power=t.power * [1, 0, 0])),
    "NaN energy": ("not_finite", lambda t: with_value(t, "energy", 2, np.nan)),
    "NaN time": ("not_finite", lambda t: with_value(t, "energy", 0, np.nan)),
    "infinite energy": ("not_finite", lambda t: with_value(t, "energy", 2, np.inf)),
    "NaN power": ("not_finite", lambda t: with_value(t, "power", 1, np.nan)),
    "NaN end": ("bad_window", lambda t: replace(t, t1=float("nan"))),
    "end before start": ("bad_window", lambda t: replace(t, t1=t.t0 - 0.1)),
    "mark outside": ("bad_window", lambda t: replace(t, marks=(replace(t.marks[0], end=t.t1 + 1.0),))),
    "counter jumps": ("sources_disagree", lambda t: counter_from(t, middle(t), lambda c: c + 1e4)),
    "power in another unit": ("sources_disagree", lambda t: replace(t, power=t.power * [1, 2, 2])),
    "counter a tenth too high": ("sources_disagree", lambda t: replace(t, energy=t.energy * [1, 1, 1.1])),
    "samples out of order": ("clock_jump", lambda t: replace(t, energy=t.energy[::-1])),
    "above the limit": ("power_above_limit", lambda t: replace(t, extra={"power_limit_w": "300"})),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_energy_and_the_reason(damage: str) -> None:
    reason, harm = DAMAGE[damage]
    long = {"busy before": "decode_b1_2.5", "busy after": "decode_b1_0.6", "above the limit": "decode_b32_2.5"}
    subjects = [i for i, trace in enumerate(traces()) if trace.name == long[damage]] if damage in long else SUBJECTS
    for i in subjects:
        result = estimate(harm(traces()[i]))
        assert reason in result.reasons
        assert not result.valid
        assert (result.energy_j, result.ci95, result.mean_power_w) == (None, None, None)
        assert all(window.energy_j is None and window.ci95 is None for window in result.windows)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    subject=st.sampled_from(SUBJECTS),
    cuts=st.lists(st.tuples(st.floats(-0.6, 1.4), st.floats(0.0, 0.5)), min_size=1, max_size=4),
    share=st.floats(0.02, 1.0),
    seed=st.integers(0, 1000),
)
def test_whatever_is_lost_a_valid_energy_is_right(
    subject: int, cuts: list[tuple[float, float]], share: float, seed: int
) -> None:
    trace, whole = traces()[subject], results()[subject]
    for start, length in cuts:
        trace = without(trace, trace.t0 + start, trace.t0 + start + length)
    kept = np.random.default_rng(seed).random(len(trace.energy)) < share
    result = estimate(replace(trace, energy=trace.energy[kept]))
    assert set(result.reasons) <= set(REASONS)
    if result.valid:
        assert result.energy_j is not None
        assert result.ci95 is not None
        assert whole.energy_j is not None
        assert result.ci95[0] - 1.0 <= whole.energy_j <= result.ci95[1] + 1.0
    else:
        assert result.energy_j is None
        assert result.reasons


@pytest.mark.parametrize("method", METHODS)
def test_no_method_measures_what_is_not_finite(method: str) -> None:
    trace = traces()[SUBJECTS[0]]
    assert estimate(with_value(with_value(trace, "energy", 2, np.nan), "power", 1, np.nan), method).energy_j is None
