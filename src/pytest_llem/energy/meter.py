"""What a power meter is. The recorder process opens one and reads it; nothing here computes energy.

Third parties register one under the entry point group ``pytest_llem.meters``: NAME = "package.module:factory", where
``factory()`` returns a :class:`Meter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol, runtime_checkable

Scope = Literal["device", "host"]
Source = Literal["nvml_counter", "nvml_power", "rapl", "zeus", "codecarbon", "cpu_estimate", "replay"]


@dataclass(frozen=True)
class Device:
    """Something with a power meter: a GPU by UUID (``GPU-…``), a CPU package (``package-0``), or ``cpu``."""

    uuid: str
    name: str
    index: int | None = None
    power_limit_w: float | None = None
    driver: str = ""
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CounterRead:
    """One read of an energy counter."""

    before: float  # s, CLOCK_MONOTONIC, when the read began
    after: float  # s, when it returned
    energy_j: float


@dataclass(frozen=True)
class PowerRead:
    """One cheap read. A missing field is None."""

    time: float
    instant_w: float | None
    average_w: float | None = None
    temperature_c: float | None = None
    memory_bytes: int | None = None
    utilization: float | None = None  # 0 to 1
    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    throttle_reasons: int | None = None  # NVML's bit mask


class Sampler(Protocol):
    """An open meter. Methods may raise MeterError when the device is lost."""

    def counter(self, device: Device) -> CounterRead | None:
        """Read the energy counter; None where the meter has none."""
        ...

    def power(self, device: Device, *, full: bool) -> PowerRead | None:
        """Read what is cheap, if anything is; with ``full`` also temperature, memory, clocks, throttle reasons."""
        return None

    def follow(self, pid: int) -> None:
        """The workload's process tree now starts at ``pid``; meters that do not follow processes ignore it."""
        return

    def close(self) -> None:
        """Give back what is held open."""
        return


@runtime_checkable
class Historian(Protocol):
    """What a sampler may be besides: one whose driver keeps power samples of its own."""

    def history(self, device: Device, since: float) -> Sequence[PowerRead]:
        """The samples after ``since`` (s, CLOCK_MONOTONIC) that the driver still has, in order; often none."""
        ...


class Meter(Protocol):
    """A way to measure energy."""

    name: str  # as typed in --llem-meter
    source: Source
    scope: Scope  # what a lock must protect: the device or the whole host
    measured: bool  # False: an estimate, or a recording
    bracket_s: float  # idle time that its estimator wants on each side of a window, s
    method: str  # the estimator that fits it
    reads_disturb: bool  # a counter read holds up a workload on the device, so that none may fall inside a window

    def devices(self) -> Sequence[Device]:
        """All devices that it could measure; raises MeterError with what to do where there are none."""
        ...

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        """Start reading; ``pid`` is the root of the workload's process tree, for meters that follow processes."""
        ...


@dataclass(frozen=True)
class MeterInfo:
    """What a result says about its meter; the fields are those of :class:`Meter`."""

    name: str
    source: Source
    scope: Scope
    measured: bool
    bracket_s: float
    method: str

    @classmethod
    def of(cls, meter: Meter) -> MeterInfo:
        return cls(**{field.name: getattr(meter, field.name) for field in fields(cls)})
