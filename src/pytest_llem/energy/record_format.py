"""The recorder's file: one JSON value a line, appended as it happens, so that a crash loses at most the last line.

First the header, an object. Then arrays: ``["e", device, before, after, J]`` a counter read, ``["p", device, time,
instant W, average W]`` a power read, ``["f", …]`` the same followed by all other fields of PowerRead, ``["h", device,
time, W]`` a sample that the driver took itself, ``["x", device, time, message]`` a lost device, ``["pace", time,
pace]`` a new pace, ``["c", …]`` the recorder's own cost so far, ``["end", time]`` an orderly end. Devices are numbered
as in the header. Kept free of numpy: the recorder process has to start fast.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from pytest_llem.energy.meter import Device, MeterInfo

FORMAT = 1

Pace = Literal["dense", "slow", "quiet"]
"""Often, near the edges of a window; seldom, between windows; inside one, only what does not disturb it."""

Kind = Literal["e", "p", "f", "h", "x", "pace", "c", "end"]

SLOW_COUNTER_S = 1.0
SLOW_COUNTER_SHARE = 0.0025
"""Between edges at most this share of the time is spent on counter reads; one of an H200 takes 3 ms."""


def slow_counter_pause_s(mean_read_s: float, devices: int) -> float:
    """How far apart the counter reads of one device are between edges, s, before up to a fifth of jitter."""
    return max(SLOW_COUNTER_S, mean_read_s * devices / SLOW_COUNTER_SHARE)


@dataclass
class RecorderCost:
    """What recording took from the machine so far."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    slow_cpu_s: float = 0.0  # the part of both that lies between edges
    slow_wall_s: float = 0.0
    counter_reads: int = 0
    counter_s: float = 0.0  # wall time inside counter reads
    power_reads: int = 0
    power_s: float = 0.0

    @property
    def cpu_share(self) -> float | None:
        """Part of one core that recording took on average; None before anything was recorded."""
        return self.cpu_s / self.wall_s if self.wall_s else None

    @property
    def slow_cpu_share(self) -> float | None:
        """The same between edges, where most of a run is spent."""
        return self.slow_cpu_s / self.slow_wall_s if self.slow_wall_s else None

    @property
    def mean_counter_read_s(self) -> float | None:
        return self.counter_s / self.counter_reads if self.counter_reads else None


@dataclass(frozen=True)
class Header:
    """The first line: what was recorded, by which process."""

    meter: MeterInfo
    devices: tuple[Device, ...]
    pid: int
    format: int = FORMAT

    @classmethod
    def decode(cls, line: bytes) -> Header:
        """Raises ValueError, KeyError or TypeError if the line is not a header of this format."""
        data = json.loads(line)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, expected {FORMAT}")
        return cls(MeterInfo(**data["meter"]), tuple(Device(**device) for device in data["devices"]), data["pid"])

    def encode(self) -> bytes:
        return _encode(asdict(self))


def line(kind: Kind, *values: object) -> bytes:
    """Any other line."""
    return _encode([kind, *values])


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
