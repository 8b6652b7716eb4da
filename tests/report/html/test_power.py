"""Thinned power keeps its peaks, falls back on what the meter has, and merges parts of one label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.trace import Mark, Samples, Trace, dump_traces
from pytest_llem.errors import TraceError
from pytest_llem.report.html.power import Power, Span, thin

TIMES = np.arange(0.0, 10.0, 0.01)
EMPTY = np.empty((0, 3))


def _power(times: Samples, watts: Samples) -> Samples:
    return np.column_stack([times, watts, np.full(len(times), np.nan)])


def _thin(tmp_path: Path, points: int, *traces: Trace) -> Power | None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(dump_traces(traces))
    return thin(path, points)


def test_peaks_and_dips_are_kept(tmp_path: Path):
    watts = np.full(len(TIMES), 300.0)
    watts[437], watts[611] = 900.0, 5.0
    found = _thin(tmp_path, 40, Trace("repeat-1/GPU-1", 1.0, 9.0, (), EMPTY, _power(TIMES, watts)))
    assert found is not None
    (line,) = found.lines
    assert len(line.times_ms) <= 44
    assert (max(line.power_w), min(line.power_w)) == (900.0, 5.0)
    assert (line.times_ms[0], line.times_ms[-1]) == (0, 9990)
    assert (found.samples, found.field, line.device) == (1000, "instant power", "GPU-1")


def test_few_samples_stay_all(tmp_path: Path):
    watts = np.linspace(100.0, 200.0, len(TIMES))
    found = _thin(tmp_path, 5000, Trace("repeat-1/GPU-1", 1.0, 9.0, (), EMPTY, _power(TIMES, watts)))
    assert found is not None
    assert found.lines[0].power_w == tuple(np.round(watts, 1))


def test_the_slope_of_the_counter_stands_in_for_power(tmp_path: Path):
    energy = np.column_stack([TIMES, TIMES, np.floor(TIMES * 10 + 1e-9) / 10 * 250.0])  # 250 W in steps of 0.1 s
    found = _thin(tmp_path, 500, Trace("repeat-1/package-0", 1.0, 9.0, (), energy, EMPTY))
    assert found is not None
    assert found.field == "slope of the energy counter"
    assert found.lines[0].power_w == pytest.approx([250.0] * 99)


def test_phases_of_one_label_are_one_and_devices_share_their_windows(tmp_path: Path):
    marks = tuple(
        Mark(*mark) for mark in (("prefill", 1, 2.0), ("decode", 1, 3.0), ("decode", 1, 4.0), ("prefill", 1, 5.0))
    )
    traces = [Trace(f"repeat-1/GPU-{n}", 1.0, 5.0, marks, EMPTY, _power(TIMES, TIMES)) for n in (1, 2)]
    found = _thin(tmp_path, 100, *traces)
    assert found is not None
    assert found.windows == (Span("repeat-1", 1000, 5000),)
    assert [(s.label, s.start_ms, s.end_ms) for s in found.phases] == [
        ("prefill", 1000, 2000),
        ("decode", 2000, 4000),
        ("prefill", 4000, 5000),
    ]
    assert [line.device for line in found.lines] == ["GPU-1", "GPU-2"]


def test_a_single_label_is_no_phase(tmp_path: Path):
    trace = Trace("repeat-1/GPU-1", 1.0, 5.0, (Mark("generate", 1, 5.0),), EMPTY, _power(TIMES, TIMES))
    found = _thin(tmp_path, 100, trace)
    assert found is not None
    assert found.phases == ()


def test_traces_recorded_elsewhere_keep_their_windows_and_device(tmp_path: Path):
    traces = [
        Trace("decode", start, start + 1, (), EMPTY, _power(TIMES, TIMES), device="NVIDIA H200") for start in (1.0, 4.0)
    ]
    found = _thin(tmp_path, 100, *traces)
    assert found is not None
    assert [(span.label, span.start_ms) for span in found.windows] == [("decode", 1000), ("decode", 4000)]
    assert {line.device for line in found.lines} == {"NVIDIA H200"}


def test_no_samples_make_no_picture_and_damage_is_an_error(tmp_path: Path):
    assert _thin(tmp_path, 100, Trace("repeat-1/GPU-1", 1.0, 5.0, (), EMPTY, EMPTY)) is None
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b not a trace")
    with pytest.raises(TraceError):
        thin(tmp_path / "bad.gz", 100)
