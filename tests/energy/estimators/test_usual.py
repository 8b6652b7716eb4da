"""The usual methods on what they were not made for: windows without a read inside, counters off any grid, gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.rhythm import share_rhythm
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate, staircase
from pytest_llem.energy.trace import Mark, Trace, read_traces

DATA = Path(__file__).parents[2] / "data"
STEP_S = 0.1  # of an H200's counter
COUNTER = ("counter_delta", "counter_interpolated")


def without_reads_inside(trace: Trace) -> Trace:
    read, length = trace.energy[:, 0], trace.t1 - trace.t0
    kept = trace.energy[(read < trace.t0 - 0.1) | (read > trace.t1 + 0.03)]
    return replace(trace, energy=kept, extra={"counter_gap_s": str(length + 0.3)})


@pytest.mark.parametrize("method", COUNTER)
@pytest.mark.parametrize("file", ["h200_quiet", "h200_tail"])
def test_recorded_windows_without_a_read_inside(file: str, method: str) -> None:
    for trace in share_rhythm(read_traces(DATA / f"{file}.json.gz")):
        known, found = estimate(trace), estimate(trace, method)
        assert found.valid
        assert found.ci95 is not None
        assert found.energy_j is not None
        assert known.energy_j is not None
        assert found.ci95[0] <= known.energy_j <= found.ci95[1]
        assert 0.5 * known.energy_j < found.energy_j < 1.5 * known.energy_j
        step = STEP_S * known.energy_j / (trace.t1 - trace.t0)
        if method == "counter_delta":
            assert found.ci95[1] - found.energy_j > np.sqrt(2) * step, "a step at each end"
        for label, (energy, _) in known.labels.items():
            low, high = found.labels[label][1]
            assert low <= energy <= high


@pytest.mark.parametrize("method", COUNTER)
@pytest.mark.parametrize(
    ("meter", "length"),
    [
        (SimulatedMeter(late_s=0.02), 0.5),
        (SimulatedMeter(late_s=0.03), 1.5),
        (SimulatedMeter(gap_s=(0.05, 0.12)), 1.0),
    ],
    ids=["late", "later", "seldom read"],
)
def test_counters_off_any_grid(meter: SimulatedMeter, length: float, method: str) -> None:
    held: dict[bool, list[bool]] = {False: [], True: []}
    for seed in range(20):
        t0 = 10.0 + 0.017 * seed
        trace = simulate(pulse(t0, t0 + length, 500.0), t0, t0 + length, meter=meter, seed=seed)
        for still, shown in ((False, trace), (True, without_reads_inside(trace))):
            ends = estimate(shown, method).ci95
            if ends is not None:
                held[still].append(ends[0] <= 500.0 * length <= ends[1])
    assert all(len(of_one) >= 15 for of_one in held.values())
    assert all(np.mean(of_one) >= 0.9 for of_one in held.values()), held


GAPS = {"inside": (11.05, 11.95), "at the start": (9.6, 10.6), "at the end": (12.4, 13.4)}


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("hidden_w", [130.0, 500.0])
def test_a_gap_in_the_power_samples_is_in_the_interval_and_takes_no_counters_energy(hidden_w: float, gap: str) -> None:
    start, end = GAPS[gap]
    busy = simulate(staircase([10.0, 11.05, 11.95, 13.0], [500.0, hidden_w, 500.0, 126.0]), 10.0, 13.0)
    truth = 0.9 * hidden_w + 2.1 * 500.0
    time = busy.power[:, 0]
    trace = replace(busy, power=busy.power[(time < start) | (time > end)])
    integral, counter = estimate(trace, "power_integral"), estimate(trace)
    assert integral.ci95 is not None
    assert integral.ci95[0] <= truth <= integral.ci95[1]
    assert "window_too_short" in integral.reasons, "the code of a wide interval"
    assert counter.valid, counter.reasons
    assert counter.energy_j == pytest.approx(truth, rel=0.005)


def test_a_counter_that_power_contradicts_beside_a_gap_is_still_not_believed() -> None:
    trace = simulate(pulse(10.0, 13.0, 500.0), 10.0, 13.0)
    time = trace.power[:, 0]
    trace = replace(trace, power=trace.power[(time < 11.0) | (time > 11.4)], energy=trace.energy * [1, 1, 1.4])
    assert "sources_disagree" in estimate(trace).reasons


@pytest.mark.parametrize("start", [11.05, 11.45])
@pytest.mark.parametrize("method", ["bracketed", "power_integral"])
def test_parts_beside_a_gap_in_the_power_samples(method: str, start: float) -> None:
    marks = (Mark("prefill", 1.0, 11.5), Mark("decode", 1.0, 13.0))
    power = staircase([10.0, 11.5, 13.0], [690.0, 300.0, 126.0])
    trace = without_reads_inside(simulate(power, 10.0, 13.0, marks=marks))
    time = trace.power[:, 0]
    result = estimate(replace(trace, power=trace.power[(time < start) | (time > start + 0.9)]), method)
    assert result.valid
    for label, truth in (("prefill", 1035.0), ("decode", 450.0)):
        low, high = result.labels[label][1]
        assert low <= truth <= high
