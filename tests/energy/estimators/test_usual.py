"""The usual methods on what they were not made for: windows without a read inside, counters off any grid, gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.rhythm import share_rhythm
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate
from pytest_llem.energy.trace import Trace, read_traces

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
