"""What an estimator says: energies, each with a 95 % interval, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_llem.energy.estimators.interval import Interval
from pytest_llem.energy.validity import FATAL


@dataclass(frozen=True)
class WindowEnergy:
    """One marked part of a trace: ``start`` and ``end`` in s, ``energy_j`` None where it cannot be known."""

    label: str
    units: float
    start: float
    end: float
    energy_j: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class TraceEnergy:
    """The energy of one trace, ``t0`` to ``t1``.

    ``method`` is the one really used. ``idle_power_w`` is the power beside the window, None if nothing idle was
    recorded. ``settled`` says whether power was the same early and late in the window, None if that cannot be told.
    ``cross_check`` is the second source and (second - first) / first over the whole recording. ``reasons`` are codes of
    :data:`pytest_llem.energy.validity.REASONS`; ``notes`` are sentences for people. ``labels`` is the energy of all
    parts with one label, whose interval knows that what a boundary gives to one part it takes from its neighbour.
    """

    name: str
    method: str
    energy_j: float | None
    ci95: Interval | None
    windows: tuple[WindowEnergy, ...]
    idle_power_w: float | None = None
    mean_power_w: float | None = None
    settled: bool | None = None
    cross_check: tuple[str, float] | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: dict[str, tuple[float, Interval]] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """True when no reason is fatal and there is an energy."""
        return self.energy_j is not None and not FATAL.intersection(self.reasons)
