"""What a recorder wrote, read back: samples by device, cut to windows, and the idle power in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from pytest_llem.energy.estimators.interval import SCALE, Z95
from pytest_llem.energy.estimators.knots import Knots, find_knots
from pytest_llem.energy.meter import Device, MeterInfo, PowerRead
from pytest_llem.energy.record_format import Header, RecorderCost, slow_counter_pause_s
from pytest_llem.energy.rhythm import find_rhythm
from pytest_llem.energy.trace import ESTIMATED, GAP_S, POWER_LIMIT_W, STEPLESS, Mark, Samples, Trace
from pytest_llem.errors import MeterError

EMPTY: Samples = np.empty((0, 3))
STALE_S = 0.1  # a polled power is at most so old
HOLE_S = 0.25  # a longer pause in the driver's samples is a loss
ALIKE = 0.1  # two reads of one power differ by no larger share
STRAY = 0.1  # so many reads may, where power jumps
LATE_S = 0.2  # the last counter read before a quiet time and the first after it may be as far away, on a busy host


@dataclass(frozen=True)
class Lost:
    """From ``time`` on there are no more samples of ``device`` (None: of any)."""

    device: str | None
    time: float
    message: str


@dataclass(frozen=True)
class Recording:
    """All samples of one recorder, by device UUID. ``energy`` and ``power`` are shaped as in :class:`Trace`."""

    meter: MeterInfo
    devices: tuple[Device, ...]
    energy: dict[str, Samples]
    power: dict[str, Samples]
    rows: dict[str, tuple[PowerRead, ...]]  # every power read with all that it holds, for the time series
    cost: RecorderCost
    lost: Lost | None = None
    ended: bool = False  # the recorder said goodbye itself
    history: dict[str, Samples] = field(default_factory=dict)  # the driver's own samples; shaped as ``power``
    quiet: tuple[tuple[float, float], ...] = ()  # from when to when no counter was read, on purpose

    def last_time(self) -> float:
        """Time of the last sample of all, s; 0 where there is none."""
        ends = [samples[-1, 0] for samples in (*self.energy.values(), *self.power.values()) if len(samples)]
        return float(max(ends, default=0.0))

    def trace(
        self, device_uuid: str, name: str, t0: float, t1: float, marks: Sequence[Mark], margin_s: float | None = None
    ) -> Trace:
        """One device's samples around the window ``t0`` to ``t1``, with ``margin_s`` (default: the meter's bracket) on
        each side for the idle power. The margin must end before a neighbouring window begins."""
        margin = self.meter.bracket_s if margin_s is None else margin_s
        device = next((device for device in self.devices if device.uuid == device_uuid), None)
        if device is None:
            recorded = ", ".join(device.uuid for device in self.devices)
            raise MeterError(f"{device_uuid} was not recorded", hint=f"recorded: {recorded}")
        # The workload is idle as long as the recorder is quiet before and after it, and was for the margin beyond.
        still = next(((min(a, t0), max(b, t1)) for a, b in self.quiet if a < t1 and t0 < b), None)
        start, end = still or (t0, t1)
        return Trace(
            name=name,
            t0=t0,
            t1=t1,
            marks=tuple(marks),
            energy=self._counter_reads(device_uuid, start, end, margin),
            power=self._power_samples(device_uuid, t0, t1, (start - margin, end + margin)),
            device=device.name,
            driver=device.driver,
            extra=self._facts(device, 0.0 if still is None else end - start)
            | find_rhythm(self.energy[device_uuid], self.power[device_uuid], t0, t1),
        )

    def _counter_reads(self, device_uuid: str, t0: float, t1: float, margin: float) -> Samples:
        """The reads between ``t0 - margin`` and ``t1 + margin``; of a counter without steps also the next one on each
        side, however far: it shows the same value, and a busy machine reads late."""
        energy = self.energy[device_uuid]
        inside = (energy[:, 0] >= t0 - margin) & (energy[:, 1] <= t1 + margin)
        if self._stepless:
            first = max(0, int(np.searchsorted(energy[:, 0], t0, side="right")) - 1)
            inside[first : int(np.searchsorted(energy[:, 0], t1)) + 1] = True
        return energy[inside]

    def _power_samples(self, device_uuid: str, t0: float, t1: float, span: tuple[float, float]) -> Samples:
        """The power in ``span``: the driver's own samples where they cover the window, else what was polled.

        Where the driver's end, the polled ones go on, from when they cannot be older than those."""
        polled, own = _cut(self.power[device_uuid], *span), _cut(self.history.get(device_uuid, EMPTY), *span)
        if not len(own) or own[0, 0] > t0 or own[-1, 0] < t1 - STALE_S or np.any(np.diff(own[:, 0]) > HOLE_S):
            return polled
        if not _agree(own, polled):
            return polled
        beyond = polled[(polled[:, 0] < own[0, 0] - STALE_S) | (polled[:, 0] > own[-1, 0] + STALE_S)]
        both = np.concatenate((own, beyond * [1, 1, np.nan]))
        return np.asarray(both[np.argsort(both[:, 0], kind="stable")])

    @property
    def _stepless(self) -> bool:
        """CPU time has no steps, and stands still while a process sleeps."""
        return self.meter.source == "cpu_estimate"

    def _facts(self, device: Device, quiet_s: float) -> dict[str, str]:
        """What an estimator should know of the meter and the device, as it stands in a trace's ``extra``."""
        # The longest pause that was meant, jitter included, and as much again for a host that was busy.
        slow_s = 2 * slow_counter_pause_s(self.cost.mean_counter_read_s or 0.0, len(self.devices))
        return {
            "uuid": device.uuid,
            "meter": self.meter.name,
            "source": self.meter.source,
            **device.extra,
            "method": self.meter.method,
            GAP_S: str(max(slow_s, quiet_s + LATE_S)),
            **({} if device.power_limit_w is None else {POWER_LIMIT_W: str(device.power_limit_w)}),
            **({STEPLESS: "yes"} if self._stepless else {}),
            **({} if self.meter.measured else {ESTIMATED: "yes"}),
        }

    def mean_power(self, device_uuid: str, start: float, end: float) -> tuple[float, float, float] | None:
        """Mean power between two times, W, with its 95 % bounds; None where there are too few samples.

        From at least three steps of the counter; where they are not sharp, rather from the power samples.
        """
        trace = self.trace(device_uuid, "", start, end, (), 0.0)
        by_power = _power_of_samples(_cut(self.power[device_uuid], start, end))
        knots = find_knots(trace) if len(trace.energy) >= 2 else None
        if knots is None or len(knots.time) < 3 or (knots.rhythm != "grid" and by_power is not None):
            return by_power
        return _power_of_steps(knots)

    def peak_memory_bytes(self, device_uuid: str, start: float, end: float) -> int | None:
        """Largest memory in use on a device between two times (driver's reserve apart); None if it was never read."""
        rows = self.rows[device_uuid]
        used = [row.memory_bytes for row in rows if row.memory_bytes is not None and start <= row.time <= end]
        return max(used, default=None)


def _cut(samples: Samples, start: float, end: float) -> Samples:
    return samples[(samples[:, 0] >= start) & (samples[:, 0] <= end)]


def _agree(own: Samples, polled: Samples) -> bool:
    """Whether polled instant power is found among the driver's samples of that moment; some drivers' are averages."""
    seen = polled[np.isfinite(polled[:, 1]) & (polled[:, 0] > own[0, 0] + STALE_S) & (polled[:, 0] < own[-1, 0])]
    first = np.searchsorted(own[:, 0], seen[:, 0] - 1.5 * STALE_S)
    last = np.searchsorted(own[:, 0], seen[:, 0] + STALE_S / 2)
    apart = [
        np.min(own[a:b, 1]) - watts > ALIKE * watts or watts - np.max(own[a:b, 1]) > ALIKE * watts
        for a, b, watts in zip(first, last, seen[:, 1], strict=True)
        if b > a
    ]
    return not apart or float(np.mean(apart)) <= STRAY


def _power_of_steps(knots: Knots) -> tuple[float, float, float] | None:
    if np.any(np.diff(knots.energy) < 0):
        return None  # a counter that was reset says nothing
    spans, rises = np.diff(knots.time), np.diff(knots.energy)
    mean = float(rises.sum() / spans.sum())
    shared = (knots.time_sd * np.sqrt(2) / spans.sum(), knots.period_sd / knots.period, SCALE)
    spread = float(np.std(rises / spans, ddof=1)) / len(spans) ** 0.5
    reach = Z95 * float(np.hypot(spread, mean * np.linalg.norm(shared)))
    return mean, max(0.0, mean - reach), mean + reach


def _power_of_samples(power: Samples) -> tuple[float, float, float] | None:
    column = 1 if np.isfinite(power[:, 1]).any() else 2
    watts = power[:, column][np.isfinite(power[:, column])]
    if len(watts) < 3:
        return None
    # A meter that is read more often than it changes repeats itself: only new values count as samples of their own.
    independent = 1 + int(np.count_nonzero(np.diff(watts)))
    mean = float(np.mean(watts))
    reach = Z95 * float(np.std(watts, ddof=1)) / independent**0.5
    return mean, max(0.0, mean - reach), mean + reach


def read_recording(path: Path) -> Recording:
    """The samples in a recorder's file. A torn last line is dropped; any other damage raises MeterError."""
    try:
        first, *lines = path.read_bytes().split(b"\n")[:-1] or [b""]  # the rest of the last was still being written
    except OSError as error:
        raise MeterError(f"{path}: {error}") from None
    number = 1
    try:
        header, found = Header.decode(first), _Lines()
        for number, line in enumerate(lines, 2):  # noqa: B007  (named in the error)
            found.add(line)
    except (ValueError, KeyError, TypeError) as error:
        raise MeterError(f"{path}:{number}: damaged recording: {error}") from None
    uuids = dict(enumerate(device.uuid for device in header.devices))
    return Recording(
        meter=header.meter,
        devices=header.devices,
        energy={uuid: _samples(found.energy[i]) for i, uuid in uuids.items()},
        power={uuid: _samples(_power(found.rows[i])) for i, uuid in uuids.items()},
        rows={uuid: tuple(found.rows[i]) for i, uuid in uuids.items()},
        cost=found.cost,
        lost=None if found.lost is None else Lost(uuids[found.lost[0]], *found.lost[1:]),
        ended=found.ended,
        history={uuid: _samples(found.history[i]) for i, uuid in uuids.items()},
        quiet=tuple((start, end) for (start, pace), (end, _) in pairwise(found.paces) if pace == "quiet"),
    )


@dataclass
class _Lines:
    """What the lines of a file hold, by the number of the device."""

    energy: dict[int, list[object]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[int, list[PowerRead]] = field(default_factory=lambda: defaultdict(list))
    history: dict[int, list[object]] = field(default_factory=lambda: defaultdict(list))
    paces: list[tuple[float, str]] = field(default_factory=list)
    cost: RecorderCost = field(default_factory=RecorderCost)
    lost: tuple[int, float, str] | None = None
    ended: bool = False

    def add(self, line: bytes) -> None:
        match json.loads(line):
            case ["e", int(device), before, after, energy_j]:
                self.energy[device].append((before, after, energy_j))
            case ["p" | "f", int(device), *values]:
                self.rows[device].append(PowerRead(*values))
            case ["h", int(device), time, watts]:
                self.history[device].append((time, watts, np.nan))
            case ["pace", time, str(pace)]:
                self.paces.append((time, pace))
            case ["c", *values]:
                self.cost = RecorderCost(*values)
            case ["x", int(device), time, message]:
                self.lost = self.lost or (device, time, message)
            case ["end", _]:
                self.ended = True
            case other:
                raise ValueError(f"not a line of a recording: {other!r}")


def _samples(rows: Sequence[object]) -> Samples:
    return np.array(rows, dtype=np.float64).reshape(-1, 3)  # None becomes NaN


def _power(rows: Sequence[PowerRead]) -> list[object]:
    return [(r.time, r.instant_w, r.average_w) for r in rows if not (r.instant_w is None and r.average_w is None)]
