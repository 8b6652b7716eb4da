"""Recordings read back from files: cut to windows, asked for idle power, damaged."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.meter import CounterRead, Device, MeterInfo, PowerRead
from pytest_llem.energy.record_format import Header, line
from pytest_llem.energy.recording import Recording, read_recording
from pytest_llem.energy.trace import Mark
from pytest_llem.errors import MeterError

METER = MeterInfo("nvml", "nvml_counter", "device", True, 0.3, "bracketed")
GPU = Device("GPU-a", "NVIDIA H200", 0, 700.0, "580.159", {"a": "b"})
OTHER = Device("GPU-b", "NVIDIA H200", 1)


def stepping(seconds: float, watts: float, reads: np.ndarray) -> list[CounterRead]:
    """A counter with 100 ms steps at a steady power."""
    return [CounterRead(t, t + 0.003, float(np.floor(t / 0.1) * 0.1 * watts)) for t in reads if t <= seconds]


def write(path: Path, energy: list[CounterRead], power: list[PowerRead], *extra: bytes) -> Path:
    lines = [Header(METER, (GPU, OTHER), 1).encode()]
    lines += [line("e", 0, *astuple(read)) for read in energy]
    lines += [line("p" if read.temperature_c is None else "f", 0, *astuple(read)) for read in power]
    path.write_bytes(b"".join([*lines, *extra]))
    return path


@pytest.fixture
def jittered() -> np.ndarray:
    return np.cumsum(np.random.default_rng(7).uniform(0.005, 0.02, 400))


@pytest.fixture
def recording(tmp_path: Path, jittered: np.ndarray) -> Recording:
    power = [
        PowerRead(t, 100.0 + i % 2, None, 40.0, 5 * i, 0.5, 1e9, 2e9, 4) for i, t in enumerate((0.1, 0.2, 0.3, 0.4))
    ]
    cost = line("c", 0.1, 2.0, 0.0, 0.0, 3, 0.009, 4, 0.001)
    path = write(tmp_path / "samples.jsonl", stepping(4, 250, jittered), power, cost, line("end", 5.0))
    return read_recording(path)


def test_all_comes_back(recording: Recording, jittered: np.ndarray) -> None:
    assert recording.meter == METER
    assert recording.devices == (GPU, OTHER)
    assert recording.energy["GPU-a"][:, 0] == pytest.approx(jittered[jittered <= 4])
    assert recording.energy["GPU-b"].shape == recording.power["GPU-b"].shape == (0, 3)
    assert recording.rows["GPU-a"][1] == PowerRead(0.2, 101.0, None, 40.0, 5, 0.5, 1e9, 2e9, 4)
    assert np.isnan(recording.power["GPU-a"][:, 2]).all()
    assert recording.cost.cpu_share == pytest.approx(0.05)
    assert recording.cost.mean_counter_read_s == pytest.approx(0.003)
    assert recording.ended
    assert recording.peak_memory_bytes("GPU-a", 0.15, 0.35) == 10
    assert recording.peak_memory_bytes("GPU-b", 0, 9) is None


def test_a_window_comes_with_its_margins_and_no_more(recording: Recording) -> None:
    trace = recording.trace("GPU-a", "repeat-1", 1.0, 2.0, [Mark("decode", 10, 2.0)])
    assert trace.energy[0, 0] >= 0.7
    assert trace.energy[0, 0] < 0.75
    assert 2.25 < trace.energy[-1, 1] <= 2.3
    assert (trace.device, trace.driver, trace.marks[0].units) == ("NVIDIA H200", "580.159", 10)
    assert trace.extra.items() >= {"uuid": "GPU-a", "meter": "nvml", "source": "nvml_counter", "a": "b"}.items()
    assert trace.extra["power_limit_w"] == "700.0"
    # Two GPUs, 3 ms a read, a quarter of a percent of the time: 2.4 s apart, and as much again.
    assert float(trace.extra["counter_gap_s"]) == pytest.approx(4.8)
    assert len(recording.trace("GPU-a", "x", 1.0, 2.0, [], 0.0).energy) < len(trace.energy)
    with pytest.raises(MeterError, match="GPU-z was not recorded"):
        recording.trace("GPU-z", "x", 1.0, 2.0, [])


@pytest.mark.parametrize("averaged", [False, True])
def test_the_driver_s_samples_are_taken_only_where_they_are_instant(tmp_path: Path, averaged: bool) -> None:
    polled = [PowerRead(t, 500.0 if 1.0 < t < 2.0 else 100.0) for t in np.arange(0.05, 3.0, 0.07).tolist()]
    times = np.arange(0.0, 3.0, 0.02)
    watts = np.where((times > 1.0) & (times < 2.0), 500.0, 100.0)
    if averaged:
        watts = np.convolve(np.concatenate((np.full(49, 100.0), watts)), np.full(50, 0.02), mode="valid")
    own = zip(times.tolist(), watts.tolist(), strict=True)
    extra = line("pace", 0.9, "quiet"), line("pace", 2.1, "dense"), *(line("h", 0, t, w) for t, w in own)
    path = write(tmp_path / "s.jsonl", [], polled, *extra)
    trace = read_recording(path).trace("GPU-a", "x", 1.0, 2.0, [], 0.5)
    assert np.median(np.diff(trace.power[:, 0])) == pytest.approx(0.07 if averaged else 0.02)
    assert trace.power[0, 0] == pytest.approx(0.4, abs=0.08)  # the margin lies beyond the quiet time
    assert float(trace.extra["counter_gap_s"]) > 1.2


def test_idle_power_from_steps_holds_the_truth(recording: Recording) -> None:
    power = recording.mean_power("GPU-a", 0.5, 1.5)
    assert power is not None
    value, low, high = power
    assert value == pytest.approx(250, rel=0.02)
    assert low <= 250 <= high
    assert high - low < 40


def test_seldom_reads_widen_the_interval_but_keep_the_truth(tmp_path: Path) -> None:
    seldom = np.cumsum(np.random.default_rng(3).uniform(0.5, 0.6, 10))
    recording = read_recording(write(tmp_path / "s.jsonl", stepping(6, 250, seldom), []))
    power = recording.mean_power("GPU-a", 0, 6)
    assert power is not None
    assert power[1] <= 250 <= power[2]


def test_idle_power_from_samples_where_there_is_no_counter(tmp_path: Path) -> None:
    reads = [PowerRead(t / 10, 80.0 + (t % 3), 500.0) for t in range(30)]
    recording = read_recording(write(tmp_path / "s.jsonl", [], reads))
    power = recording.mean_power("GPU-a", 0, 3)
    assert power is not None
    assert power[0] == pytest.approx(81.0)
    assert power[1] < 81 < power[2]
    assert recording.mean_power("GPU-a", 0, 0.15) is None
    assert recording.mean_power("GPU-b", 0, 3) is None


def test_the_average_stands_in_for_a_missing_instant_power(tmp_path: Path) -> None:
    reads = [PowerRead(t / 10, None, 90.0) for t in range(10)]
    recording = read_recording(write(tmp_path / "s.jsonl", [], reads))
    assert recording.mean_power("GPU-a", 0, 3) == (90.0, 90.0, 90.0)


def test_a_counter_that_stands_still_has_no_steps(tmp_path: Path, jittered: np.ndarray) -> None:
    recording = read_recording(write(tmp_path / "s.jsonl", stepping(4, 0, jittered), []))
    assert recording.mean_power("GPU-a", 0, 4) is None


def test_a_counter_that_went_backwards_has_no_idle_power(tmp_path: Path, jittered: np.ndarray) -> None:
    reads = stepping(4, 100, jittered)
    reset = [r if r.before < 2 else CounterRead(r.before, r.after, r.energy_j - 20) for r in reads]
    recording = read_recording(write(tmp_path / "s.jsonl", reset, []))
    assert recording.mean_power("GPU-a", 1.5, 2.5) is None


def test_a_torn_last_line_is_dropped(tmp_path: Path, jittered: np.ndarray) -> None:
    path = write(tmp_path / "s.jsonl", stepping(4, 100, jittered), [])
    whole = read_recording(path)
    for cut in (1, 5, 30):
        path.write_bytes(path.read_bytes()[:-cut])
        torn = read_recording(path)
        assert len(whole.energy["GPU-a"]) - 3 <= len(torn.energy["GPU-a"]) < len(whole.energy["GPU-a"])
        assert not torn.ended


def test_a_lost_device_is_known_by_its_uuid(tmp_path: Path) -> None:
    extra = (line("x", 1, 3.5, "GPU is lost"), line("x", 0, 4.0, "so is this"))
    lost = read_recording(write(tmp_path / "s.jsonl", [], [], *extra)).lost
    assert lost is not None
    assert (lost.device, lost.time, lost.message) == ("GPU-b", 3.5, "GPU is lost")


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (b"garbage\n", 2),
        (b'["z", 0]\n', 2),
        (b'["e", 0, 1.0]\n', 2),
        (b'["e","0",1,2,3]\n', 2),
        (b"{}\n", 2),
        (b"\n", 2),
    ],
)
def test_damage_in_the_middle_is_an_error_with_its_line(tmp_path: Path, damage: bytes, number: int) -> None:
    path = write(tmp_path / "s.jsonl", [], [], damage, line("end", 1.0))
    with pytest.raises(MeterError, match=rf"s\.jsonl:{number}: damaged"):
        read_recording(path)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[]\n", b'{"format": 99}\n', b"\xff\xfe\n"])
def test_a_file_without_a_header_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(MeterError, match="damaged"):
        read_recording(path)
    with pytest.raises(MeterError):
        read_recording(tmp_path / "none.jsonl")
