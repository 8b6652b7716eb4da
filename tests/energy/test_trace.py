"""Trace files: exact round trips, and errors that say where."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.trace import Mark, Trace, dump_traces, read_traces
from pytest_llem.errors import TraceError

RECORDED = Path(__file__).parents[1] / "data" / "h200_traces.json.gz"


def one() -> Trace:
    energy = np.array([[1.0, 1.0027, 3124.390], [1.005, 1.0079, 3180.449]])
    power = np.array([[1.0, 397.486, np.nan], [1.1, 147.126, np.nan]])
    marks = (Mark("prefill", 64.0, 1.2), Mark("decode", 512.0, 1.5))
    return Trace("cell/0", 1.0, 1.5, marks, energy, power, "GPU", "580.1", {"meter": "nvml"})


def same(a: Trace, b: Trace) -> bool:
    samples = np.array_equal(a.energy, b.energy, equal_nan=True) and np.array_equal(a.power, b.power, equal_nan=True)
    empty = np.empty((0, 3))
    rest = (replace(a, energy=empty, power=empty).__dict__, replace(b, energy=empty, power=empty).__dict__)
    return samples and str(rest[0]) == str(rest[1])


def test_a_trace_survives_the_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(dump_traces([one()]))
    assert same(read_traces(tmp_path / "t")[0], one())


def test_the_recorded_file_survives_to_the_last_mj(tmp_path: Path) -> None:
    raw = json.loads(gzip.decompress(RECORDED.read_bytes()))
    (tmp_path / "t").write_bytes(dump_traces(read_traces(RECORDED)))
    written = json.loads(gzip.decompress((tmp_path / "t").read_bytes()))
    for old, new in zip(raw["traces"], written["traces"], strict=True):
        assert all(old[key] == new[key] for key in old)
    assert (tmp_path / "t").read_bytes() == dump_traces(read_traces(tmp_path / "t"))


def test_parts_follow_each_other() -> None:
    assert one().parts() == (("prefill", 64.0, 1.0, 1.2), ("decode", 512.0, 1.2, 1.5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a trace"),
        (b"\x1f\x8bnonsense", "cannot be read as a trace"),
        (b"[]", "no list 'traces'"),
        (b'{"traces": [], "counter_unit": "J"}', "counter_unit is 'J', expected 'mJ'"),
        (b'{"traces": [3]}', "traces[0]: not a mapping"),
        (b'{"traces": [{"name": "a", "t0": 1}]}', "traces[0]: KeyError: 't1'"),
        (b'{"traces": [{"name": "a", "t0": 1, "t1": 2, "energy": [[1, 2]]}]}', "traces[0].energy: not rows"),
        (b'{"traces": [{"name": "a", "t0": 1, "t1": 2, "marks": [["x", 1]]}]}', "traces[0]: ValueError"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError) as error:
        read_traces(tmp_path / "t")
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.json"):
        read_traces(tmp_path / "nowhere.json")
