"""The replay meter: plays a recorded trace against the present clock, so that all else runs without a power meter.

``--llem-meter=replay:FILE`` plays the first trace of a ``trace.json.gz``, ``replay:FILE#NAME`` the one called NAME. The
playback starts at the recording's first sample when the meter is opened, runs at the recorded pace and, at its end,
starts again with the counter going on from where it was. What is played has nothing to do with what the workload draws
meanwhile: the energy of a result is made of real readings but is not that workload's, so it counts as not measured.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.energy.meter import CounterRead, Device, PowerRead, Sampler, Scope, Source
from pytest_llem.errors import MeterError

if TYPE_CHECKING:
    from pytest_llem.energy.trace import Trace


class ReplayMeter:
    """One device: that of the trace."""

    source: Source = "replay"
    scope: Scope = "device"
    measured = False
    bracket_s = 0.3
    reads_disturb = False

    def __init__(self, place: str) -> None:
        """``place`` is FILE or FILE#NAME; raises TraceError or MeterError if there is no such trace."""
        self._trace = _find(place)
        self.name = f"replay:{place}"
        self.method = "bracketed" if len(self._trace.energy) else "power_integral"

    def devices(self) -> Sequence[Device]:
        trace = self._trace
        return [Device(uuid="replay", name=trace.device or "replayed", driver=trace.driver, extra=dict(trace.extra))]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return ReplaySampler(self._trace)


def _find(place: str) -> Trace:
    from pytest_llem.energy.trace import read_traces  # brings numpy, which no other meter needs

    file, _, name = place.partition("#")
    traces = read_traces(Path(file))
    for trace in traces:
        if name in ("", trace.name):
            if len(trace.energy) + len(trace.power) < 2:
                raise MeterError(f"{file}: trace {trace.name!r} has too few samples to be played")
            return trace
    names = ", ".join(trace.name for trace in traces[:10]) or "none"
    raise MeterError(f"{file}: no trace {name!r}" if name else f"{file}: no trace in it", hint=f"traces: {names}")


class ReplaySampler(Sampler):
    """Answers with the value that the recording held as long after its beginning."""

    def __init__(self, trace: Trace) -> None:
        self._energy_times: list[float] = trace.energy[:, 0].tolist()
        self._energy_j: list[float] = trace.energy[:, 2].tolist()
        self._power_times: list[float] = trace.power[:, 0].tolist()
        self._power_w: list[list[float]] = trace.power[:, 1:].tolist()
        both = self._energy_times + self._power_times
        self._first, self._length_s = min(both), max(both) - min(both)
        self._opened = time.monotonic()

    def counter(self, device: Device) -> CounterRead | None:
        if not self._energy_j:
            return None
        before = time.monotonic()
        rounds, moment = self._moment(before)
        energy_j = self._energy_j[max(0, bisect_right(self._energy_times, moment) - 1)]
        energy_j += rounds * (self._energy_j[-1] - self._energy_j[0])
        return CounterRead(before, time.monotonic(), energy_j)

    def power(self, device: Device, *, full: bool) -> PowerRead | None:
        if not self._power_times:
            return None
        now = time.monotonic()
        _, moment = self._moment(now)
        instant_w, average_w = self._power_w[max(0, bisect_right(self._power_times, moment) - 1)]
        return PowerRead(now, _known(instant_w), _known(average_w))

    def _moment(self, now: float) -> tuple[int, float]:
        """How often the recording has ended already, and the time in it that is playing."""
        rounds, into_s = divmod(now - self._opened, self._length_s)
        return int(rounds), self._first + into_s


def _known(value: float) -> float | None:
    return value if value == value else None  # NaN, the only value that differs from itself, is a missing field
