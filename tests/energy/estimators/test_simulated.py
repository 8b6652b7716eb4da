"""Simulated meters, where the truth is known: any grid, any lag, and what must hold whatever the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.estimators.bracketed import find_lag
from pytest_llem.energy.estimators.knots import find_knots
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate, staircase
from pytest_llem.energy.trace import Mark, Trace
from tests.energy.estimators.recorded import thinned

quick = settings(max_examples=15, deadline=None, derandomize=True)


def constant(t0: float, length: float, watts: float, meter: SimulatedMeter, seed: int = 0) -> Trace:
    return simulate(pulse(t0, t0 + length, watts), t0, t0 + length, meter=meter, seed=seed)


@quick
@given(
    start=st.floats(10.0, 10.3),
    watts=st.floats(250.0, 1000.0),
    period=st.sampled_from([0.02, 0.05, 0.097, 0.1]),
    lag=st.sampled_from([0.0, 0.009, 0.025]),
    phase=st.floats(0.0, 0.1),
    seed=st.integers(0, 10_000),
)
def test_constant_power_is_measured_within_half_a_percent_in_a_quarter_second(
    start: float, watts: float, period: float, lag: float, phase: float, seed: int
) -> None:
    meter = SimulatedMeter(period_s=period, lag_s=lag, phase_s=phase)
    result = estimate(constant(start, 0.25, watts, meter, seed))
    assert result.valid
    assert result.energy_j is not None
    assert result.ci95 is not None
    assert result.energy_j == pytest.approx(0.25 * watts, rel=0.005)
    assert result.ci95[0] < 0.25 * watts < result.ci95[1]


@pytest.mark.parametrize("lag", [0.0, 0.009, 0.025])
@pytest.mark.parametrize("period", [0.02, 0.05, 0.097, 0.1])
def test_period_phase_and_lag_are_found(period: float, lag: float) -> None:
    meter = SimulatedMeter(period_s=period, lag_s=lag)
    trace = constant(10.02, 0.6, 550.0, meter)
    knots = find_knots(trace)
    assert knots.rhythm == "grid"
    assert knots.period == pytest.approx(period, rel=0.003)
    off = (knots.time - meter.phase_s + period / 2) % period - period / 2
    assert np.abs(off).max() < 0.0015
    assert find_lag(knots, trace.t0, trace.t1, trace.t0).value == pytest.approx(lag, abs=0.004)


@pytest.mark.parametrize("period", [0.05, 0.097, 0.1])
def test_few_reads_are_enough_for_any_grid(period: float) -> None:
    for seed in range(5):
        trace = constant(10.0 + 0.031 * seed, 0.25, 550.0, SimulatedMeter(period_s=period), seed)
        assert estimate(thinned(trace, seed, gap_s=period / 5)).energy_j == pytest.approx(0.25 * 550.0, rel=0.005)


def test_reads_that_do_not_resolve_the_steps_give_a_wider_interval() -> None:
    trace = constant(10.0, 0.6, 550.0, SimulatedMeter(period_s=0.02, gap_s=(0.01, 0.03)))
    result, sharp = estimate(trace), estimate(constant(10.0, 0.6, 550.0, SimulatedMeter(period_s=0.02)))
    assert result.ci95 is not None
    assert sharp.ci95 is not None
    assert result.ci95[0] < 330.0 < result.ci95[1]
    assert result.ci95[1] - result.ci95[0] > sharp.ci95[1] - sharp.ci95[0]


def test_an_irregular_counter_is_measured_and_flagged() -> None:
    result = estimate(constant(10.0, 0.6, 550.0, SimulatedMeter(late_s=0.02)))
    assert result.valid
    assert "irregular_steps" in result.reasons
    assert result.energy_j == pytest.approx(330.0, rel=0.02)


def two_phases(first_s: float, second_s: float, meter: SimulatedMeter, seed: int = 0) -> tuple[Trace, float, float]:
    t0, change, end = 10.013, 10.013 + first_s, 10.013 + first_s + second_s
    marks = (Mark("prefill", 1.0, change), Mark("decode", 100.0, end))
    power = staircase([t0, change, end], [690.0, 420.0, 126.0])
    return simulate(power, t0, end, marks=marks, meter=meter, seed=seed), 690.0 * first_s, 420.0 * second_s


@quick
@given(
    first=st.floats(0.1, 0.5),
    second=st.floats(0.2, 1.5),
    period=st.sampled_from([0.05, 0.1]),
    lag=st.sampled_from([0.0, 0.009, 0.025]),
    seed=st.integers(0, 10_000),
)
def test_phases_are_told_apart_and_add_up(first: float, second: float, period: float, lag: float, seed: int) -> None:
    trace, prefill_j, decode_j = two_phases(first, second, SimulatedMeter(period_s=period, lag_s=lag), seed)
    result = estimate(trace)
    assert result.valid
    assert result.energy_j is not None
    energies = [window.energy_j or 0.0 for window in result.windows]
    assert sum(energies) == pytest.approx(result.energy_j, rel=1e-9)
    assert energies == pytest.approx([prefill_j, decode_j], abs=3.0)
    for window, truth in zip(result.windows, (prefill_j, decode_j), strict=True):
        assert window.ci95 is not None
        assert window.ci95[0] < truth < window.ci95[1]


def test_many_marks_of_one_workload_share_its_energy_evenly() -> None:
    t0, ends = 10.0, 10.0 + 0.3 * np.arange(1, 11)
    marks = tuple(Mark("decode", 10.0, float(end)) for end in ends)
    result = estimate(simulate(pulse(t0, float(ends[-1]), 500.0), t0, float(ends[-1]), marks=marks))
    assert [window.energy_j for window in result.windows] == pytest.approx([150.0] * 10, rel=0.01)


@quick
@given(shift=st.floats(-5.0, 5000.0), scale=st.floats(0.3, 3.0))
def test_shifting_time_and_scaling_energy(shift: float, scale: float) -> None:
    trace = constant(10.0, 0.4, 500.0, SimulatedMeter())
    moved = replace(
        trace,
        t0=trace.t0 + shift,
        t1=trace.t1 + shift,
        marks=tuple(replace(mark, end=mark.end + shift) for mark in trace.marks),
        energy=trace.energy * [1, 1, scale] + [shift, shift, 0],
        power=trace.power * [1, scale, scale] + [shift, 0, 0],
    )
    result = estimate(moved)
    assert result.energy_j == pytest.approx(200.0 * scale, rel=0.005)
    assert result.idle_power_w == pytest.approx(126.0 * scale, rel=0.01)


def test_steady_and_changing_power_are_told_apart() -> None:
    steady = estimate(constant(10.0, 0.8, 500.0, SimulatedMeter()))
    surging = staircase([10.0, 10.1, 10.8], [900.0, 690.0, 126.0])
    assert steady.settled is True
    assert estimate(simulate(surging, 10.0, 10.8)).settled is False


def test_a_recorder_that_reads_seldom_inside_the_window_may_say_so() -> None:
    trace = constant(10.0, 3.0, 500.0, SimulatedMeter(gap_s=(0.005, 0.02)))
    read = trace.energy[:, 0]
    seldom = np.isin(np.arange(len(read)), np.searchsorted(read, np.arange(10.4, 12.6, 0.5)))
    sparse = replace(trace, energy=trace.energy[(read < 10.2) | (read > 12.8) | seldom])
    assert "missing_ticks" in estimate(sparse).reasons
    told = estimate(replace(sparse, extra={"counter_gap_s": "0.6"}))
    assert told.reasons == ()
    assert told.energy_j == pytest.approx(1500.0, rel=0.005)


def test_a_counter_without_steps_needs_no_idle_time() -> None:
    trace = simulate(
        pulse(0.0, 100.0, 80.0), 10.0, 12.0, meter=SimulatedMeter(period_s=0.0, lag_s=0.0, has_power=False)
    )
    for method in ("counter_interpolated", "counter_delta"):
        result = estimate(trace, method)
        assert (result.valid, result.method) == (True, method)
        assert result.energy_j == pytest.approx(160.0, rel=0.005)
    assert find_knots(trace).rhythm == "continuous"


def test_a_meter_with_power_only_is_integrated_and_says_so() -> None:
    result = estimate(constant(10.0, 3.0, 500.0, SimulatedMeter(has_counter=False)))
    assert result.method == "power_integral"
    assert "no" in " ".join(result.notes)
    assert result.ci95 is not None
    assert result.ci95[0] < 1500.0 < result.ci95[1]


def test_usual_methods_hold_the_truth_in_their_interval() -> None:
    for method in ("counter_interpolated", "counter_delta", "power_integral"):
        held = []
        for seed in range(20):
            result = estimate(constant(10.0 + 0.017 * seed, 0.5, 500.0, SimulatedMeter(), seed), method)
            assert result.ci95 is not None
            held.append(result.ci95[0] <= 250.0 <= result.ci95[1])
        assert np.mean(held) >= 0.85, method


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'magic'; one of bracketed"):
        estimate(constant(10.0, 0.3, 500.0, SimulatedMeter()), "magic")
