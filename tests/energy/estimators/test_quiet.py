"""Windows inside which no counter was read: totals from the idle time beside them, parts from sampled power."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.estimators import TraceEnergy, estimate
from pytest_llem.energy.rhythm import share_rhythm
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate, staircase
from pytest_llem.energy.trace import ORIGIN_S, PERIOD_S, PHASE_SD_S, Mark, Trace, read_traces
from tests.energy.estimators.recorded import references, results, thinned, traces, units
from tests.energy.estimators.test_recorded import LIMIT_PERCENT

DATA = Path(__file__).parents[2] / "data"
Part = tuple[str, float, float]
"""Label, length (s), power (W)."""


def quiet(trace: Trace) -> Trace:
    """The trace without the counter reads inside its window, as a recorder leaves them out on purpose."""
    read = trace.energy[:, 0]
    kept = trace.energy[(read < trace.t0 - 0.01) | (read > trace.t1 + 0.03)]
    return replace(trace, energy=kept, extra={**trace.extra, "counter_gap_s": str(trace.t1 - trace.t0 + 0.2)})


def sampled(parts: Sequence[Part], seed: int, every_s: float = 0.02, rest_s: float = 0.0) -> Trace:
    """A quiet window of ``parts``, the last ``rest_s`` idle, and samples of mean power as a driver takes them."""
    rng = np.random.default_rng(seed)
    t0 = 10.013 + 0.0137 * seed
    ends = t0 + np.cumsum([length for _, length, _ in parts])
    marks = [Mark(label, 1.0, float(end)) for (label, _, _), end in zip(parts, ends, strict=True)]
    power = staircase([t0, *ends], [*(watts for _, _, watts in parts), 126.0])
    trace = simulate(
        power,
        t0,
        float(ends[-1]) + rest_s,
        marks=marks,
        meter=SimulatedMeter(gap_s=(0.01, 0.03)),
        before_s=0.33,
        seed=seed,
    )
    fine = np.arange(t0 - 0.3, ends[-1] + 0.4, 1e-4)
    total = np.concatenate(([0.0], np.cumsum(power(fine)) * 1e-4))[:-1]
    stamps = np.arange(fine[0] + every_s + rng.uniform(0.0, every_s), fine[-1], every_s)
    watts = (np.interp(stamps, fine, total) - np.interp(stamps - every_s, fine, total)) / every_s
    samples = np.column_stack((stamps, watts + rng.normal(0.0, 2.0, len(stamps)), np.full(len(stamps), np.nan)))
    return quiet(replace(trace, power=samples))


def truths(parts: Sequence[Part]) -> dict[str, float]:
    found: dict[str, float] = {}
    for label, length, watts in parts:
        found[label] = found.get(label, 0.0) + length * watts
    return found


def half_width(result: TraceEnergy, label: str) -> float:
    energy, (low, high) = result.labels[label]
    return (high - low) / 2 / energy


@pytest.mark.parametrize("seldom", [False, True])
@pytest.mark.parametrize("length", LIMIT_PERCENT)
def test_recorded_windows_need_no_read_inside(length: str, seldom: bool) -> None:
    errors = []
    for i, trace in enumerate(traces()):
        workload, _, ending = trace.name.rpartition("_")
        if workload.startswith("decode") and ending == length:
            result = estimate(quiet(thinned(trace, i, idle_s=0.3) if seldom else trace))
            assert result.valid, (trace.name, result.reasons)
            assert result.energy_j is not None
            errors.append(result.energy_j / units(trace) / references()[workload] - 1)
    assert 100 * np.sqrt(np.mean(np.square(errors))) <= LIMIT_PERCENT[length]


def test_parts_of_recorded_windows_polled_every_100_ms_are_rough_and_say_so() -> None:
    held = []
    for trace, whole in zip(traces(), results(), strict=True):
        if trace.name.startswith("phases"):
            result = estimate(quiet(trace))
            assert result.valid
            for part, known in zip(result.windows, whole.windows, strict=True):
                assert part.ci95 is not None
                assert part.energy_j is not None
                assert known.energy_j is not None
                assert 0 <= part.ci95[0] <= part.energy_j <= part.ci95[1]
                held.append(part.ci95[0] <= known.energy_j <= part.ci95[1])
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize("length", [1.0, 10.0, 200.0])
def test_a_window_may_be_long(length: float) -> None:
    for seed in range(3):
        t0 = 10.0 + 0.017 * seed
        meter = SimulatedMeter(gap_s=(0.01, 0.03))
        power = pulse(t0, t0 + length, 500.0)
        trace = simulate(power, t0, t0 + length, meter=meter, before_s=0.33, after_s=0.35, seed=seed)
        result = estimate(quiet(trace))
        assert result.valid
        assert result.energy_j == pytest.approx(500.0 * length, rel=0.003)


@pytest.mark.parametrize(
    ("parts", "error", "widest"),
    [
        ([("prefill", 0.2, 690.0), ("decode", 0.6, 420.0)], 0.02, 0.10),
        ([("prefill", 0.045, 650.0), ("decode", 3.6, 190.0)], 0.03, 0.30),
        ([("prefill", 0.5, 250.0), ("decode", 0.05, 650.0)], 0.02, 0.30),
        ([("prefill", 0.1, 690.0), ("decode", 0.3, 400.0)] * 50, 0.02, 0.30),
        ([("prefill", 0.03, 650.0), ("decode", 0.12, 250.0)] * 200, 0.05, 0.50),
    ],
)
def test_parts_follow_the_shape_of_the_power(parts: list[Part], error: float, widest: float) -> None:
    for seed in range(4):
        result = estimate(sampled(parts, seed))
        assert result.valid
        assert result.energy_j == pytest.approx(sum(truths(parts).values()), rel=0.005)
        assert sum(part.energy_j or 0.0 for part in result.windows) == pytest.approx(result.energy_j, rel=1e-9)
        assert sum(energy for energy, _ in result.labels.values()) == pytest.approx(result.energy_j, rel=1e-9)
        for label, truth in truths(parts).items():
            energy, (low, high) = result.labels[label]
            assert energy == pytest.approx(truth, rel=error)
            assert 0 <= low <= truth <= high
            assert half_width(result, label) < widest
        held = [
            part.ci95 is not None and part.ci95[0] <= length * watts <= part.ci95[1]
            for part, (_, length, watts) in zip(result.windows, parts, strict=True)
        ]
        assert np.mean(held) >= 0.95


@pytest.mark.parametrize("rest_s", [0.0005, 0.002, 0.012])
def test_the_last_part_is_known_though_the_window_ends_a_little_later(rest_s: float) -> None:
    """Between the last token and the window's end the device is synchronised; no part owns that time."""
    for seed in range(8):
        result = estimate(sampled([("prefill", 0.4, 690.0), ("decode", 0.8, 420.0)], seed, rest_s=rest_s))
        energy, (low, high) = result.labels["decode"]
        assert energy == pytest.approx(0.8 * 420.0, rel=0.02)
        assert low <= 0.8 * 420.0 <= high
        assert half_width(result, "decode") < 0.10


def test_parts_of_a_recorded_window_share_its_energy_as_its_power_does() -> None:
    """Two passes of one engine; 2 ms lie between the end of the second and the end of the window."""
    for trace in read_traces(DATA / "h200_parts.json.gz"):
        result = estimate(trace)
        assert result.valid, result.reasons
        for part in result.windows:
            inside = (trace.power[:, 0] > part.start + 0.01) & (trace.power[:, 0] <= part.end + 0.01)
            assert part.energy_j == pytest.approx(
                float(np.mean(trace.power[inside, 1])) * (part.end - part.start), rel=0.03
            )
            assert part.ci95 is not None
            assert part.ci95[1] - part.ci95[0] < 0.15 * (part.energy_j or 0.0)


def test_windows_of_a_sixth_of_a_second_repeat_to_less_than_a_percent() -> None:
    """A fixed workload in ten fresh workers, twice each. Two or three idle steps beside a window tell little of idle
    power; together with sampled power they do (without it: 1.1 %)."""
    windows = list(read_traces(DATA / "h200_short.json.gz"))
    found = [estimate(window) for window in windows]
    assert all(result.valid for result in found)
    per_unit = [(result.energy_j or 0.0) / units(window) for result, window in zip(found, windows, strict=True)]
    assert np.std(per_unit, ddof=1) / np.mean(per_unit) < 0.008
    held = [
        result.ci95[0] <= np.mean(per_unit) * units(window) <= result.ci95[1]
        for result, window in zip(found, windows, strict=True)
        if result.ci95
    ]
    assert np.mean(held) >= 0.9


def test_a_count_of_steps_that_nothing_confirms_widens_the_interval() -> None:
    """Without power and other windows, the steps inside a window left in peace are counted from three on each side."""
    held, wide = [], 0
    for name in ("h200_quiet", "h200_short"):
        for window in share_rhythm(list(read_traces(DATA / f"{name}.json.gz"))):
            facts = {key: value for key, value in window.extra.items() if key not in (ORIGIN_S, PERIOD_S, PHASE_SD_S)}
            known, alone = (estimate(w) for w in (window, replace(window, power=np.empty((0, 3)), extra=facts)))
            if alone.ci95 is not None and known.ci95 is not None:
                held.append(alone.ci95[0] <= (known.energy_j or 0.0) <= alone.ci95[1])
                wide += alone.ci95[1] - alone.ci95[0] > 2 * (known.ci95[1] - known.ci95[0])
    assert len(held) > 30
    assert np.mean(held) > 0.95
    assert wide > 0


def test_a_part_that_no_sample_shows_has_a_wide_interval() -> None:
    parts = [("prefill", 0.045, 650.0), ("decode", 3.6, 190.0)]
    sharp, blind = (estimate(sampled(parts, 1, every_s=every_s)) for every_s in (0.02, 0.1))
    assert half_width(blind, "prefill") > 2 * half_width(sharp, "prefill")
    assert blind.labels["prefill"][1][0] <= 0.045 * 650 <= blind.labels["prefill"][1][1]


def test_errors_of_boundaries_inside_a_label_cancel() -> None:
    """Ten parts of one label are the whole window, which is known better than the parts."""
    result = estimate(sampled([("decode", 0.3, 400.0)] * 10, 0))
    assert result.ci95 is not None
    energy, interval = result.labels["decode"]
    assert energy == pytest.approx(result.energy_j)
    assert interval == pytest.approx(result.ci95, rel=1e-6)


def test_a_thousand_marks_are_evaluated_at_once() -> None:
    trace = sampled([("prefill", 0.015, 600.0), ("decode", 0.02, 300.0)] * 500, 0)
    start = time.process_time()
    result = estimate(trace)
    assert time.process_time() - start < 1.0
    for label, truth in truths([("prefill", 7.5, 600.0), ("decode", 10.0, 300.0)]).items():
        assert result.labels[label][1][0] <= truth <= result.labels[label][1][1]


def test_steady_and_changing_power_are_told_apart_by_samples() -> None:
    for seed in range(4):
        steady = sampled([("work", 1.0, 500.0)], seed)
        assert estimate(steady).settled is True
        surging = sampled([("work", 0.1, 900.0), ("rest", 0.7, 650.0)], seed)
        assert estimate(replace(surging, marks=(Mark("work", 1.0, surging.t1),))).settled is not True


def test_tens_of_thousands_of_marks_cost_no_memory() -> None:
    """One for each batch, where batches take microseconds."""
    trace = sampled([("prefill", 0.2, 600.0), ("decode", 0.6, 300.0)], 0)
    ends = np.linspace(trace.t0, trace.t1, 40_001)[1:]
    many = replace(trace, marks=tuple(Mark("generate", 1.0, float(end)) for end in ends))
    tracemalloc.start()
    result = estimate(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6
    assert len(result.windows) == 40_000
    assert result.energy_j is not None
    assert sum(part.energy_j or 0.0 for part in result.windows) == pytest.approx(result.energy_j, rel=1e-6)
