"""The time series file, read back with pyarrow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_llem.energy.meter import Device, MeterInfo, PowerRead
from pytest_llem.energy.record_format import RecorderCost
from pytest_llem.energy.recording import EMPTY, Recording
from pytest_llem.energy.timeseries import write_timeseries

READS = (
    PowerRead(1.0, 100.0, 90.0, 40.0, 2**40, 0.5, 1.98e9, 3.2e9, 0x24),
    PowerRead(2.0, 110.0),
    PowerRead(2.0, None, 91.0, None, None, None, None, None, 0),
)


def recording(*reads: PowerRead) -> Recording:
    device = Device("GPU-a", "NVIDIA H200")
    meter = MeterInfo("nvml", "nvml_counter", "device", True, 0.3, "bracketed")
    return Recording(meter, (device,), {"GPU-a": EMPTY}, {"GPU-a": EMPTY}, {"GPU-a": reads}, RecorderCost())


def test_every_power_read_is_a_row(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "timeseries.parquet"
    assert write_timeseries(path, recording(*READS)) is None
    rows = parquet.read_table(path).to_pylist()
    assert rows[0] == {
        "time_s": 1.0,
        "device": "GPU-a",
        "power_instant_w": 100.0,
        "power_average_w": 90.0,
        "temperature_c": 40.0,
        "memory_bytes": 2**40,
        "utilization": 0.5,
        "sm_clock_hz": 1.98e9,
        "memory_clock_hz": 3.2e9,
        "throttle_reasons": "sw_power_cap|sw_thermal_slowdown",
    }
    assert [row["throttle_reasons"] for row in rows[1:]] == [None, ""]
    assert rows[1]["temperature_c"] is None


def test_where_there_is_no_file_there_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "timeseries.parquet"
    assert write_timeseries(path, recording()) == "the nvml meter reads nothing but a counter"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    reason = write_timeseries(path, recording(*READS))
    assert reason is not None
    assert "pyarrow is not installed" in reason
    assert not path.exists()
