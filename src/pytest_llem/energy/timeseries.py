"""``timeseries.parquet``: all that the meters said over time, for looking at with any data tool."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from pytest_llem.energy import throttle
from pytest_llem.energy.recording import Recording
from pytest_llem.results.store import write_atomic

_COLUMNS = {
    "time_s": "double",  # CLOCK_MONOTONIC, as in result.json and the trace
    "device": "string",  # UUID
    "power_instant_w": "double",
    "power_average_w": "double",
    "temperature_c": "double",
    "memory_bytes": "int64",
    "utilization": "double",  # 0 to 1
    "sm_clock_hz": "double",
    "memory_clock_hz": "double",
    "throttle_reasons": "string",  # names joined by "|", empty for none, null where not read
}


def write_timeseries(path: Path, recording: Recording, start: float = 0.0, end: float = float("inf")) -> str | None:
    """Write every power read between two times (s); returns None, or the reason why there is no file."""
    rows = sorted(_rows(recording, start, end), key=lambda row: row[:2])
    if not rows:
        return f"the {recording.meter.name} meter reads nothing but a counter"
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        return "pyarrow is not installed (pip install 'pytest-llem[report]')"
    schema = arrow.schema(
        [(name, getattr(arrow, "float64" if kind == "double" else kind)()) for name, kind in _COLUMNS.items()]
    )
    columns = [list(column) for column in zip(*rows, strict=True)]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns, schema=schema), buffer, compression="zstd")
    write_atomic(path, buffer.getvalue())
    return None


def _rows(recording: Recording, start: float, end: float) -> Iterator[tuple[float, str, *tuple[object, ...]]]:
    for device, reads in recording.rows.items():
        for read in reads:
            if start <= read.time <= end:
                mask = read.throttle_reasons
                yield (
                    read.time,
                    device,
                    read.instant_w,
                    read.average_w,
                    read.temperature_c,
                    read.memory_bytes,
                    read.utilization,
                    read.sm_clock_hz,
                    read.memory_clock_hz,
                    None if mask is None else "|".join(throttle.names(mask)),
                )
