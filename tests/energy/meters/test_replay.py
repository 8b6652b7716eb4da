"""The replay meter plays what was recorded, at its pace, on and on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_llem.energy.meters import replay
from pytest_llem.energy.meters.replay import ReplayMeter
from pytest_llem.energy.trace import Trace, dump_traces
from pytest_llem.errors import LlemError, MeterError


def trace(name: str, *, start: float = 1000.0, counter: bool = True) -> Trace:
    """Two seconds: the counter reads 10 J more with each tenth of a second, power counts the samples."""
    times = start + np.arange(21) / 10
    energy = np.column_stack([times, times + 0.003, 500 + 10 * np.arange(21)]) if counter else np.empty((0, 3))
    power = np.column_stack([times, np.arange(21), np.full(21, np.nan)])
    return Trace(name, start + 0.5, start + 1.5, (), energy, power, device="NVIDIA H200", driver="580")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Turns the clock that the sampler reads."""
    now = [50.0]
    monkeypatch.setattr(replay, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def turn(seconds: float) -> None:
        now[0] = 50.0 + seconds

    return turn


def write(folder: Path, *traces: Trace) -> Path:
    path = folder / "trace.json.gz"
    path.write_bytes(dump_traces(traces))
    return path


def test_it_plays_counter_and_power_at_the_recorded_pace(tmp_path: Path, clock: Callable[[float], None]) -> None:
    meter = ReplayMeter(str(write(tmp_path, trace("a"))))
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    for seconds, energy_j, instant_w in [(0.0, 500, 0), (0.55, 550, 5), (1.97, 690, 19)]:
        clock(seconds)
        counter, power = sampler.counter(device), sampler.power(device, full=False)
        assert counter is not None
        assert power is not None
        assert (counter.energy_j, counter.before) == (energy_j, 50 + seconds)
        assert (power.instant_w, power.average_w, power.time) == (instant_w, None, 50 + seconds)


def test_it_starts_again_and_the_counter_goes_on(tmp_path: Path, clock: Callable[[float], None]) -> None:
    meter = ReplayMeter(str(write(tmp_path, trace("a"))))
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    seen = []
    for seconds in np.arange(0, 6.5, 0.05):
        clock(float(seconds))
        read = sampler.counter(device)
        assert read is not None
        seen.append(read.energy_j)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(500 + 3 * 200 + 40, abs=10.1)


def test_it_is_no_measurement_of_the_workload(tmp_path: Path) -> None:
    path = write(tmp_path, trace("a"))
    meter = ReplayMeter(str(path))
    (device,) = meter.devices()
    assert (meter.source, meter.measured, meter.name) == ("replay", False, f"replay:{path}")
    assert (device.name, device.driver, meter.method) == ("NVIDIA H200", "580", "bracketed")


def test_a_trace_is_chosen_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, trace("a"), trace("b", counter=False))
    meter = ReplayMeter(f"{path}#b")
    assert meter.method == "power_integral"
    (device,) = meter.devices()
    assert meter.open([device], None).counter(device) is None
    with pytest.raises(MeterError, match="no trace 'c'") as caught:
        ReplayMeter(f"{path}#c")
    assert caught.value.hint == "traces: a, b"


def test_nothing_to_play_is_said(tmp_path: Path) -> None:
    with pytest.raises(LlemError, match=r"nowhere\.json"):
        ReplayMeter(str(tmp_path / "nowhere.json"))
    with pytest.raises(MeterError, match="no trace in it"):
        ReplayMeter(str(write(tmp_path)))
    empty = Trace("e", 0.0, 1.0, (), np.empty((0, 3)), np.empty((0, 3)))
    with pytest.raises(MeterError, match="too few samples"):
        ReplayMeter(str(write(tmp_path, empty)))


def test_the_real_clock_moves_it(tmp_path: Path) -> None:
    meter = ReplayMeter(str(write(tmp_path, trace("a"))))
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    first = sampler.counter(device)
    time.sleep(0.25)
    second = sampler.counter(device)
    assert first is not None
    assert second is not None
    assert second.energy_j - first.energy_j in (20, 30)
