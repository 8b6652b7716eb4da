"""``timeseries.parquet``: all that the meters said over time, for looking at with any data tool."""

from __future__ import annotations

import io
from dataclasses import astuple
from pathlib import Path

from pytest_llem.energy.nvml import throttle_reasons
from pytest_llem.energy.recording import Recording
from pytest_llem.results.store import write_atomic

_COLUMNS = {
    "time_s": "float64",  # CLOCK_MONOTONIC, as in result.json and the trace
    "device": "string",  # UUID
    "power_instant_w": "float64",
    "power_average_w": "float64",
    "temperature_c": "float64",
    "memory_bytes": "int64",
    "utilization": "float64",  # 0 to 1
    "sm_clock_hz": "float64",
    "memory_clock_hz": "float64",
    "throttle_reasons": "string",  # names joined by "|", empty for none, null where not read
}


def write_timeseries(path: Path, recording: Recording) -> str | None:
    """Write every power read; returns None, or the reason why there is no file."""
    rows = []
    for device, reads in recording.rows.items():
        for time, *values, mask in map(astuple, reads):
            rows.append((time, device, *values, None if mask is None else "|".join(throttle_reasons(mask))))
    if not rows:
        return f"the {recording.meter.name} meter reads nothing but a counter"
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        return "pyarrow is not installed (pip install 'pytest-llem[report]')"
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in _COLUMNS.items()])
    columns = [list(column) for column in zip(*sorted(rows, key=lambda row: row[:2]), strict=True)]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns, schema=schema), buffer, compression="zstd")
    write_atomic(path, buffer.getvalue())
    return None
