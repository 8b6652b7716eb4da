"""What a power meter said, sample by sample, and the file that keeps it.

A trace knows nothing of estimators. It is written by the recorder, cut to windows, and read again by any machine.
Times are seconds on ``CLOCK_MONOTONIC``; in memory energy is in joules and power in watts, in the file in the meter's
own mJ and mW. Whole mJ and mW, which is all that NVML gives, survive writing and reading exactly.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_llem.errors import TraceError

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Samples = Floats
"""Shape (n, 3); the columns are told at :class:`Trace`."""

MILLI = 1000.0
_HINT = "a trace.json.gz lies beside each result.json"

# What a recorder may say of meter and device in ``Trace.extra``:
ESTIMATED = "estimated"  # "yes": the meter does not measure
STEPLESS = "counter_stepless"  # "yes": the counter has no steps to be found
GAP_S = "counter_gap_s"  # the longest pause (s) between counter reads that is made on purpose
POWER_LIMIT_W = "power_limit_w"  # the device's limit (W)
ORIGIN_S = "counter_origin_s"  # the grid that the whole recording shows: steps at origin + k * period (s);
PERIOD_S = "counter_period_s"
PHASE_SD_S = "counter_phase_sd_s"  # standard deviation of its phase (s)


@dataclass(frozen=True)
class Mark:
    """The end of one part of a window; the part starts where the one before it ended, the first at ``Trace.t0``."""

    label: str
    units: float
    end: float


@dataclass(frozen=True)
class Trace:
    """One window on one device: when the workload ran (``t0`` to ``t1``), and all the samples around it.

    ``energy`` has shape (n, 3): time before the read, time after it (s), counter (J).
    ``power`` has shape (m, 3): time (s), instant power (W), one-second average (W); NaN where a meter has none.
    Either may be empty (n or m = 0), never both in a usable trace.
    """

    name: str
    t0: float
    t1: float
    marks: tuple[Mark, ...]
    energy: Samples
    power: Samples
    device: str = ""
    driver: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def watts(self) -> Floats:
        """The power (W) of each sample: instant where the meter has it throughout, else its average."""
        return self.power[:, 1 if not np.any(np.isnan(self.power[:, 1])) else 2]

    def parts(self) -> tuple[tuple[str, float, float, float], ...]:
        """(label, units, start, end) of each marked part."""
        starts = [self.t0, *(mark.end for mark in self.marks)]
        return tuple((m.label, m.units, start, m.end) for m, start in zip(self.marks, starts, strict=False))


def _samples(rows: object, milli: Sequence[int], where: str) -> Samples:
    try:
        array = np.array(rows, dtype=np.float64).reshape(-1, 3) if rows else np.empty((0, 3))
    except (TypeError, ValueError) as error:
        raise TraceError(f"{where}: not rows of three numbers: {error}") from None
    for column in milli:
        array[:, column] /= MILLI  # a quotient is correctly rounded, a product with 0.001 is not
    return array


def read_traces(path: Path) -> tuple[Trace, ...]:
    """All traces of a ``trace.json.gz`` (or plain JSON) file; raises TraceError with the place of what is wrong."""
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise TraceError(f"{path}: cannot be read as a trace: {why}", hint=_HINT) from None
    if not isinstance(data, dict) or not isinstance(data.get("traces"), list):
        raise TraceError(f"{path}: no list 'traces'", hint=_HINT)
    for key, unit in (("counter_unit", "mJ"), ("power_unit", "mW")):
        if data.get(key, unit) != unit:
            raise TraceError(f"{path}: {key} is {data[key]!r}, expected {unit!r}")
    return tuple(_trace(item, f"{path}: traces[{i}]", data) for i, item in enumerate(data["traces"]))


def _trace(item: object, where: str, data: dict[str, object]) -> Trace:
    if not isinstance(item, dict):
        raise TraceError(f"{where}: not a mapping")
    try:
        return Trace(
            name=str(item["name"]),
            t0=float(item["t0"]),
            t1=float(item["t1"]),
            marks=tuple(Mark(str(label), float(units), float(end)) for label, units, end in item.get("marks", ())),
            energy=_samples(item.get("energy"), (2,), f"{where}.energy"),
            power=_samples(item.get("power"), (1, 2), f"{where}.power"),
            device=str(item.get("device", data.get("device", ""))),
            driver=str(item.get("driver", data.get("driver", ""))),
            extra={str(k): str(v) for k, v in item.get("extra", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"{where}: {type(error).__name__}: {error}") from None


def dump_traces(traces: Iterable[Trace]) -> bytes:
    """The bytes of a ``trace.json.gz``: the inverse of :func:`read_traces`, the same bytes for the same traces."""
    items = list(traces)
    data = {
        "device": items[0].device if items else "",
        "driver": items[0].driver if items else "",
        "counter_unit": "mJ",
        "power_unit": "mW",
        "clock": "CLOCK_MONOTONIC s",
        "traces": [_plain(trace) for trace in items],
    }
    return gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0)


def _plain(trace: Trace) -> dict[str, object]:
    return {
        "name": trace.name,
        "t0": trace.t0,
        "t1": trace.t1,
        "marks": [[mark.label, mark.units, mark.end] for mark in trace.marks],
        "energy": [[before, after, _milli(counter)] for before, after, counter in trace.energy.tolist()],
        "power": [[t, _milli(instant), _milli(average)] for t, instant, average in trace.power.tolist()],
        "device": trace.device,
        "driver": trace.driver,
        "extra": trace.extra,
    }


def _milli(value: float) -> float | int | None:
    """In thousandths; a missing field is null in the file."""
    if math.isnan(value):
        return None
    scaled = value * MILLI
    whole = round(scaled) if math.isfinite(scaled) else scaled
    return whole if whole / MILLI == value else scaled
