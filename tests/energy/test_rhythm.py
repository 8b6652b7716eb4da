"""The counter's grid found from many windows together, on windows that a real recorder left in peace."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from pytest_llem.energy import rhythm
from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.estimators.grid import fit_long_grid
from pytest_llem.energy.rhythm import find_rhythm, share_rhythm
from pytest_llem.energy.trace import Samples, Trace, read_traces
from tests.energy.estimators.recorded import thinned, traces
from tests.energy.estimators.test_quiet import quiet

# Twenty windows of two workloads on an H200, one after another, no counter read inside any of them.
QUIET = Path(__file__).parents[1] / "data" / "h200_quiet.json.gz"


def joined(windows: list[Trace]) -> tuple[Samples, Samples]:
    """All counter reads and all power samples, as the recording had them."""
    found = []
    for samples in ([window.energy for window in windows], [window.power for window in windows]):
        both = np.concatenate(samples)
        found.append(both[np.unique(both[:, 0], return_index=True)[1]])
    return found[0], found[1]


def told(windows: list[Trace]) -> list[Trace]:
    """The windows as a recording gives them out, each with the grid of all."""
    energy, power = joined(windows)
    return [
        replace(window, extra={**window.extra, **find_rhythm(energy, power, window.t0, window.t1)})
        for window in windows
    ]


def test_recorded_quiet_windows_share_one_grid_and_are_all_valid() -> None:
    windows = list(read_traces(QUIET))
    per_token: dict[str, list[float]] = {}
    for window in told(windows):
        assert float(window.extra["counter_period_s"]) == pytest.approx(0.1, rel=1e-4)
        result = estimate(window)
        assert result.valid, (window.name, result.reasons)
        assert result.energy_j is not None
        assert result.idle_power_w == pytest.approx(119.5, abs=5)
        cell = window.name.partition("/")[0]
        per_token.setdefault(cell, []).append(result.energy_j / sum(mark.units for mark in window.marks))
    assert {cell: len(values) for cell, values in per_token.items()} == dict.fromkeys(per_token, 4)


def test_windows_that_see_the_same_steps_have_the_grid_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes 0.1 s, and an experiment asks for its windows, its idle times and each device."""
    sought = Mock(side_effect=fit_long_grid)
    monkeypatch.setattr(rhythm, "fit_long_grid", sought)
    windows = list(read_traces(QUIET))
    energy, power = joined(windows)
    energy[:, :2] += 1.0  # no other test has asked for these
    found = [find_rhythm(energy, power, window.t0 + 1.0, window.t1 + 1.0) for window in windows]
    assert sought.call_count == 1
    assert all(one == found[0] for one in found)
    find_rhythm(energy[50:], power, 0.0, energy[-1, 0])
    assert sought.call_count == 2, "other steps may have another grid"


def test_what_the_windows_alone_would_not_tell() -> None:
    """The same windows, each by itself: some cannot be told, which is why they share what they know."""
    alone = [estimate(window).valid for window in read_traces(QUIET)]
    assert 0 < sum(alone) < len(alone)


def test_windows_without_inner_reads_are_known_as_well_as_with_them() -> None:
    recorded = sorted((trace for trace in traces() if trace.name.startswith("decode")), key=lambda trace: trace.t0)
    windows = told([quiet(thinned(trace, i, idle_s=0.3)) for i, trace in enumerate(recorded)])
    errors = []
    for window, whole in zip(windows, recorded, strict=True):
        known, full = estimate(window).energy_j, estimate(whole).energy_j
        assert known is not None
        assert full is not None
        errors.append(known - full)
    assert np.sqrt(np.mean(np.square(errors))) < 0.2
    assert np.max(np.abs(errors)) < 0.6


@pytest.mark.parametrize("period", [0.0200003, 0.0999987, 0.1234])
@pytest.mark.parametrize("watts", [60.0, 0.0])
def test_bursts_far_apart_tell_the_period_to_a_hundred_thousandth(period: float, watts: float) -> None:
    rng = np.random.default_rng(7)
    bursts = np.cumsum(rng.uniform(1.3, 9.0, 14))
    before = np.concatenate([start + np.cumsum(rng.uniform(0.07, 0.13, 80) * period) for start in bursts])
    steps = np.floor((before - 0.0123) / period)
    energy = np.column_stack((before, before + 0.003, steps * 60.0 * period))
    every = np.arange(0.0, before[-1], 0.07)
    power = np.column_stack((every, np.full(len(every), watts), np.full(len(every), np.nan)))
    found = find_rhythm(energy, power if watts else power[:0], 40.0, 41.0)
    assert float(found["counter_period_s"]) == pytest.approx(period, rel=1e-5)
    phase = (float(found["counter_origin_s"]) - 0.0123) / period
    assert abs(phase - round(phase)) * period < 0.02 * period


def test_a_counter_without_steps_has_no_rhythm() -> None:
    time = np.linspace(0.0, 10.0, 1000)
    power = np.empty((0, 3))
    assert find_rhythm(np.column_stack((time, time, 100 * time)), power, 3.0, 5.0) == {}
    scattered = np.column_stack((time, time, np.floor(time / 0.3 + np.random.default_rng(1).uniform(0, 2, 1000))))
    assert find_rhythm(scattered, power, 3.0, 5.0) == {}
    assert find_rhythm(np.empty((0, 3)), power, 3.0, 5.0) == {}


@pytest.mark.parametrize("watts", [5.0, 5e9])
def test_a_counter_of_fine_steps_and_odd_power_costs_no_memory(watts: float) -> None:
    """A third party's meter may step a thousand times a second, or give power in another unit."""
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.uniform(0.001, 0.02, 10_000))
    energy = np.column_stack((time, time, np.floor(time / 0.012) * 0.05))
    power = np.column_stack((time, np.full(10_000, watts), np.full(10_000, np.nan)))
    tracemalloc.start()
    find_rhythm(energy, power, 50.0, 51.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6


def test_a_grid_that_a_trace_contradicts_is_not_believed() -> None:
    """A clock that was set, a driver that was loaded again: the trace's own steps have the last word."""
    trace = next(trace for trace in traces() if trace.name.startswith("decode"))
    wrong = {"counter_origin_s": "0.031", "counter_period_s": "0.0871", "counter_phase_sd_s": "0.0003"}
    assert estimate(replace(trace, extra={**trace.extra, **wrong})) == estimate(trace)


def test_the_traces_of_one_file_share_what_they_know() -> None:
    """0.2 s of idle time and a jittered read every 20 ms, on each of the recordings."""
    seldom = [thinned(trace, i) for i, trace in enumerate(traces())]
    shared = [estimate(trace).energy_j for trace in share_rhythm(seldom)]
    whole = [estimate(trace).energy_j for trace in traces()]
    errors = [now - before for now, before in zip(shared, whole, strict=True) if now is not None and before is not None]
    assert len(errors) == len(whole)
    assert np.sqrt(np.mean(np.square(errors))) < 0.2
    assert np.max(np.abs(errors)) < 0.8


def test_a_trace_that_knows_its_grid_keeps_it() -> None:
    known = {"counter_origin_s": "0.5", "counter_period_s": "0.1", "counter_phase_sd_s": "0.001"}
    trace = replace(traces()[0], extra=known)
    assert share_rhythm([trace, traces()[1]])[0] is trace


def test_the_tail_of_earlier_work_is_not_taken_for_idle_time() -> None:
    """Half a second after other work ended, one step before the window is 17 % higher than idle ones (an H200)."""
    windows = list(read_traces(QUIET.with_name("h200_tail.json.gz")))
    results = [estimate(window) for window in windows]
    assert [result.reasons for result in results if not result.valid] == []
    idle = [result.idle_power_w for result in results]
    assert idle == pytest.approx([125.8] * len(idle), rel=0.02)
