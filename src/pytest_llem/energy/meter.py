"""What a power meter is. The recorder process opens one and reads it; nothing here computes energy.

Third parties register one under the entry point group ``pytest_llem.meters``: NAME = "package.module:factory", where
``factory()`` returns a :class:`Meter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
        """Read what is cheap; with ``full`` also temperature, memory, clocks, throttle reasons."""
        ...

    def follow(self, pid: int) -> None:
        """The workload's process tree now starts at ``pid``; meters that do not follow processes ignore it."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Historian(Protocol):
    """What a sampler may be besides: one whose driver keeps power samples of its own."""

    def history(self, device: Device, since: float) -> Sequence[PowerRead]:
        """The samples after ``since`` (s, CLOCK_MONOTONIC) that the driver still has, in order; often none."""
        ...


class Meter(Protocol):
    """A way to measure energy."""

    @property
    def name(self) -> str:
        """As typed in ``--llem-meter``."""
        ...

    @property
    def source(self) -> Source: ...

    @property
    def scope(self) -> Scope:
        """What a lock must protect: the device or the whole host."""
        ...

    @property
    def measured(self) -> bool:
        """False: an estimate, or a recording."""
        ...

    @property
    def bracket_s(self) -> float:
        """Idle time that its estimator wants on each side of a window, s."""
        ...

    @property
    def method(self) -> str:
        """The estimator that fits it."""
        ...

    @property
    def reads_disturb(self) -> bool:
        """Whether a counter read holds up a workload on the device, so that none may fall inside a window."""
        ...

    def devices(self) -> Sequence[Device]:
        """All devices that it could measure; raises MeterError with what to do where there are none."""
        ...

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        """Start reading; ``pid`` is the root of the workload's process tree, for meters that follow processes."""
        ...


@dataclass(frozen=True)
class MeterInfo:
    """What a result says about its meter."""

    name: str
    source: Source
    scope: Scope
    measured: bool
    bracket_s: float
    method: str

    @classmethod
    def of(cls, meter: Meter) -> MeterInfo:
        return cls(meter.name, meter.source, meter.scope, meter.measured, meter.bracket_s, meter.method)
