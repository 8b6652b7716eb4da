"""What a recorder wrote, read back: samples by device, cut to windows, and the idle power in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from pytest_llem.energy.meter import Device, MeterInfo, PowerRead
from pytest_llem.energy.record_format import Header, RecorderCost, slow_counter_pause_s
from pytest_llem.energy.rhythm import find_rhythm
from pytest_llem.energy.trace import Mark, Samples, Trace
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

    def with_lost(self, lost: Lost) -> Recording:
        return replace(self, lost=lost)

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
        device = self._device(device_uuid)
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
            extra=self._facts(device, 0.0 if still is None else still[1] - still[0])
            | find_rhythm(self.energy[device_uuid], self.power[device_uuid], t0, t1),
        )

    def _counter_reads(self, device_uuid: str, t0: float, t1: float, margin: float) -> Samples:
        """The reads between ``t0 - margin`` and ``t1 + margin``; of a counter without steps also the next one on each
        side, however far: it shows the same value, and a busy machine reads late."""
        energy = self.energy[device_uuid]
        inside = (energy[:, 0] >= t0 - margin) & (energy[:, 1] <= t1 + margin)
        if self._stepless:
            first = max(0, int(np.searchsorted(energy[:, 0], t0, side="right")) - 1)
            last = int(np.searchsorted(energy[:, 0], t1))
            inside[first : last + 1] = True
        return energy[inside]

    def _power_samples(self, device_uuid: str, t0: float, t1: float, span: tuple[float, float]) -> Samples:
        """The power in ``span``: the driver's own samples where they cover the window, else what was polled.

        Where the driver's end, the polled ones go on, from when they cannot be older than those."""
        polled, own = _cut(self.power[device_uuid], *span), _cut(self.history.get(device_uuid, EMPTY), *span)
        if not len(own) or own[0, 0] > t0 or own[-1, 0] < t1 - STALE_S or np.any(np.diff(own[:, 0]) > HOLE_S):
            return polled
        if not _agree(own, polled):
            return polled
        time = polled[:, 0]
        beyond = polled[(time < own[0, 0] - STALE_S) | (time > own[-1, 0] + STALE_S)].copy()
        beyond[:, 2] = np.nan
        both = np.concatenate((own, beyond))
        ordered: Samples = both[np.argsort(both[:, 0], kind="stable")]
        return ordered

    @property
    def _stepless(self) -> bool:
        """CPU time has no steps, and stands still while a process sleeps."""
        return self.meter.source == "cpu_estimate"

    def _facts(self, device: Device, quiet_s: float) -> dict[str, str]:
        """What an estimator should know of the meter and the device, as it stands in a trace's ``extra``."""
        facts = {"uuid": device.uuid, "meter": self.meter.name, "source": self.meter.source, **device.extra}
        facts["method"] = self.meter.method
        # The longest pause that was meant, jitter included, and as much again for a host that was busy.
        slow_s = 2 * slow_counter_pause_s(self.cost.mean_counter_read_s or 0.0, len(self.devices))
        facts["counter_gap_s"] = str(max(slow_s, quiet_s + LATE_S))
        if device.power_limit_w is not None:
            facts["power_limit_w"] = str(device.power_limit_w)
        if self._stepless:
            facts["counter_stepless"] = "yes"
        return facts

    def mean_power(self, device_uuid: str, start: float, end: float) -> tuple[float, float, float] | None:
        """Mean power between two times, W, with its 95 % bounds; None where there are too few samples.

        From the counter's steps if there are at least three, else from the power samples.
        """
        energy, power = self.energy[device_uuid], self.power[device_uuid]
        steps = counter_steps(energy)
        inside = steps[(steps[:, 0] >= start) & (steps[:, 1] <= end)]
        if len(inside) >= 3:
            return _power_of_steps(inside)
        return _power_of_samples(power[(power[:, 0] >= start) & (power[:, 0] <= end)])

    def peak_memory_bytes(self, device_uuid: str, start: float, end: float) -> int | None:
        """Largest memory in use on a device between two times (driver's reserve apart); None if it was never read."""
        rows = self.rows[device_uuid]
        used = [row.memory_bytes for row in rows if row.memory_bytes is not None and start <= row.time <= end]
        return max(used, default=None)

    def _device(self, uuid: str) -> Device:
        for device in self.devices:
            if device.uuid == uuid:
                return device
        raise MeterError(f"{uuid} was not recorded", hint="recorded: " + ", ".join(d.uuid for d in self.devices))


def counter_steps(energy: Samples) -> Samples:
    """Where a counter took a new value: shape (n, 3), the times between which it stepped, and its value then (J).

    A read returns the value held when it began, so a step lies between the beginnings of the last read of the old value
    and of the first read of the new one. Seldom reads leave that wide; but no step can be older than the shortest
    time ever seen from one step to the next, or there would have been another.
    """
    if len(energy) < 2:
        return EMPTY
    new = np.flatnonzero(np.diff(energy[:, 2]) != 0) + 1
    earliest, latest = energy[new - 1, 0], energy[new, 0]
    if len(new) >= 2:
        period = float(np.min(latest[1:] - earliest[:-1]))
        earliest = np.maximum(earliest, latest - period)
    return np.column_stack([earliest, latest, energy[new, 2]])


def _power_of_steps(steps: Samples) -> tuple[float, float, float] | None:
    earliest, latest, value = steps[:, 0], steps[:, 1], steps[:, 2]
    middle = (earliest + latest) / 2
    span_s = middle[-1] - middle[0]
    if span_s <= 0 or np.any(np.diff(value) < 0):
        return None  # a counter that was reset says nothing
    mean = (value[-1] - value[0]) / span_s
    width, period = latest - earliest, np.diff(middle)
    # Part of the differences between single steps is only the blur of when they were (uniform: width² / 12, at both
    # ends), which cancels in the mean but for its first and last step.
    blur = mean**2 * float(np.mean(width**2)) / 6 / float(np.mean(period)) ** 2
    spread = 1.96 * max(0.0, float(np.var(np.diff(value) / period, ddof=1)) - blur) ** 0.5 / len(period) ** 0.5
    timing = mean * (width[0] + width[-1]) / 2 / span_s
    reach = float(np.hypot(spread, timing))
    return float(mean), max(0.0, float(mean - reach)), float(mean + reach)


def _power_of_samples(power: Samples) -> tuple[float, float, float] | None:
    column = 1 if np.isfinite(power[:, 1]).any() else 2
    watts = power[:, column][np.isfinite(power[:, column])]
    if not len(watts):
        return None
    # A meter that is read more often than it changes repeats itself: only new values count as samples of their own.
    independent = 1 + int(np.count_nonzero(np.diff(watts)))
    if len(watts) < 3:
        return None
    mean = float(np.mean(watts))
    reach = 1.96 * float(np.std(watts, ddof=1)) / independent**0.5
    return mean, max(0.0, mean - reach), mean + reach


@dataclass
class _Rows:
    """What is gathered while reading a file."""

    energy: dict[int, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    power: dict[int, list[PowerRead]] = field(default_factory=lambda: defaultdict(list))
    cost: RecorderCost = field(default_factory=RecorderCost)
    lost: tuple[int, float, str] | None = None
    ended: bool = False
    history: dict[int, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    paces: list[tuple[float, str]] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        match json.loads(line):
            case ["e", int(device), before, after, energy_j]:
                self.energy[device].append((before, after, energy_j))
            case ["p" | "f", int(device), *values]:
                self.power[device].append(PowerRead(*values))
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


def read_recording(path: Path) -> Recording:
    """The samples in a recorder's file. A torn last line is dropped; any other damage raises MeterError."""
    try:
        whole = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end was still being written
    except OSError as error:
        raise MeterError(f"{path}: {error}") from None
    rows = _Rows()
    number = 1
    try:
        header = Header.decode(whole[0] if whole else b"")
        for number, line in enumerate(whole[1:], 2):  # noqa: B007  (named in the error)
            rows.add(line)
    except (ValueError, KeyError, TypeError) as error:
        raise MeterError(f"{path}:{number}: damaged recording: {error}") from None
    return _recording(header, rows)


def _recording(header: Header, rows: _Rows) -> Recording:
    names = [device.uuid for device in header.devices]
    lost = rows.lost
    return Recording(
        meter=header.meter,
        devices=header.devices,
        energy={uuid: np.array(rows.energy[i], dtype=np.float64).reshape(-1, 3) for i, uuid in enumerate(names)},
        power={uuid: _power_samples(rows.power[i]) for i, uuid in enumerate(names)},
        rows={uuid: tuple(rows.power[i]) for i, uuid in enumerate(names)},
        cost=rows.cost,
        lost=None if lost is None else Lost(names[lost[0]], lost[1], lost[2]),
        ended=rows.ended,
        history={uuid: np.array(rows.history[i], dtype=np.float64).reshape(-1, 3) for i, uuid in enumerate(names)},
        quiet=_quiet(rows.paces),
    )


def _cut(samples: Samples, start: float, end: float) -> Samples:
    return samples[(samples[:, 0] >= start) & (samples[:, 0] <= end)]


def _agree(own: Samples, polled: Samples) -> bool:
    """Whether polled instant power is found among the driver's samples of that moment; some drivers' are averages."""
    seen = polled[np.isfinite(polled[:, 1]) & (polled[:, 0] > own[0, 0] + STALE_S) & (polled[:, 0] < own[-1, 0])]
    first = np.searchsorted(own[:, 0], seen[:, 0] - 1.5 * STALE_S)
    last = np.searchsorted(own[:, 0], seen[:, 0] + STALE_S / 2)
    near = [own[a:b, 1] for a, b in zip(first, last, strict=True)]
    apart = [
        np.min(n) - watts > ALIKE * watts or watts - np.max(n) > ALIKE * watts
        for n, watts in zip(near, seen[:, 1], strict=True)
        if len(n)
    ]
    return not apart or float(np.mean(apart)) <= STRAY


def _quiet(paces: Sequence[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    """The times of the pace "quiet", but for one that has no end yet."""
    return tuple((start, end) for (start, pace), (end, _) in pairwise(paces) if pace == "quiet")


def _power_samples(rows: Sequence[PowerRead]) -> Samples:
    known = [(r.time, r.instant_w, r.average_w) for r in rows if not (r.instant_w is None and r.average_w is None)]
    return np.array(known, dtype=np.float64).reshape(-1, 3)  # None becomes NaN
