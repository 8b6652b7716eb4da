"""The rest of the page in words: comparison with a baseline, what was measured where, notes of the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.energy.validity import REASONS
from pytest_llem.report.html.data import CellRow
from pytest_llem.report.html.looks import COMPARED
from pytest_llem.report.units import NONE
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.model import DeviceEnergy

MEANINGS = {
    **REASONS,
    "estimated_energy": "no power meter was used: the energy follows from CPU time and a stated power",
    "gpu_shared": "another process used the device, or memory was left on it",
    "throttled": "the device lowered its clocks because of temperature or power braking",
    "below_physical_floor": "less energy than the memory traffic or the arithmetic needs at idle power",
    "no_windows": "the worker reported no measured window",
}
"""Every reason code of a result, in words."""


@dataclass(frozen=True)
class DeviceUse:
    """A device and what it did in this run; ``driver``: as its traces say; ``watched``: whether throttling was read."""

    uses: list[DeviceEnergy]
    driver: str
    watched: bool

    @property
    def last(self) -> DeviceEnergy:
        return self.uses[-1]

    @property
    def hottest_c(self) -> float | None:
        return max((t for use in self.uses if (t := use.max_temperature_c) is not None), default=None)

    @property
    def throttled(self) -> str:
        seen = ", ".join(dict.fromkeys(reason for use in self.uses for reason in use.throttle_reasons))
        return seen or ("none seen" if self.watched else NONE)


@dataclass(frozen=True)
class Note:
    """Something that results say about themselves, and the cells that say it. ``code``: of a reason."""

    code: str
    text: str
    cells: list[CellRow]

    @property
    def invalid(self) -> int:
        """How many of the cells are invalid."""
        return sum(cell.invalid for cell in self.cells)

    @property
    def flag(self) -> str:
        if self.code == "estimated_energy":
            return "ESTIMATED"
        if not self.code or not self.invalid:
            return ""
        return "INVALID" if self.invalid == len(self.cells) else f"{self.invalid:,} INVALID"


def verdict_of(c: Comparison) -> str:
    """``pass``, ``fail``, ``inconclusive`` or ``refused``."""
    return "refused" if c.refused else c.verdict


def compared(report: Report) -> str:
    """How many comparisons ended how."""
    counts = Counter(map(verdict_of, report.comparisons))
    said = [f"{counts[name]:,} {words}" for name, (_, _, words) in COMPARED.items() if counts[name]]
    return ", ".join(said) or "Nothing was compared"


def devices(cells: Sequence[CellRow]) -> list[DeviceUse]:
    """The devices in the order of first use."""
    used: dict[str, list[DeviceEnergy]] = {}
    drivers: dict[str, str] = {}
    watched: set[str] = set()
    for cell in cells:
        if cell.result is None:
            continue
        for device in cell.result.devices:
            used.setdefault(device.uuid, []).append(device)
            if cell.power is not None and cell.power.driver:
                drivers.setdefault(device.uuid, cell.power.driver)
            if "throttled" not in cell.result.validity.missing:
                watched.add(device.uuid)
    return [DeviceUse(uses, drivers.get(uuid, NONE), uuid in watched) for uuid, uses in used.items()]


def ways(cells: Sequence[CellRow]) -> list[tuple[str, ...]]:
    """(runner, image, energy source, method, number of cells), the most frequent first."""
    found: Counter[tuple[str, ...]] = Counter()
    for cell in cells:
        if (result := cell.result) is not None:
            source = result.energy_source if result.measured else f"{result.energy_source} (ESTIMATED)"
            found[result.runner.get("runner", NONE), result.runner.get("image", NONE), source, result.method] += 1
    return [(*way, f"{count:,}") for way, count in found.most_common()]


def notes(cells: Sequence[CellRow]) -> list[tuple[str, list[Note]]]:
    """What results say about themselves, by kind; first what makes most of them invalid."""
    kinds = ("Reason codes", "Warnings", "Notes", "Figures that were not measured, and why")
    said: dict[str, dict[str, list[CellRow]]] = {kind: {} for kind in kinds}
    for cell in cells:
        if cell.result is None:
            continue
        validity = cell.result.validity
        missing = [f"{name}: {why}" for name, why in validity.missing.items()]
        for kind, texts in zip(kinds, (validity.reasons, cell.result.warnings, validity.notes, missing), strict=True):
            for text in texts:
                said[kind].setdefault(text, []).append(cell)
    groups = []
    for kind, found in said.items():
        if kind == kinds[0]:
            made = [Note(code, MEANINGS.get(code, ""), who) for code, who in found.items()]
        else:
            made = [Note("", text, who) for text, who in found.items()]
        groups.append((kind, sorted(made, key=lambda note: (-note.invalid, -len(note.cells)))))
    return [(kind, made) for kind, made in groups if made]
