"""What the page shows of one run, gathered from its folder: no HTML here, and nothing is changed on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from pytest_llem.energy.validity import REASONS
from pytest_llem.errors import TraceError
from pytest_llem.report.html.power import Power, thin
from pytest_llem.report.html.roofline import Position, position
from pytest_llem.results.comparison import Report
from pytest_llem.results.manifest import Entry, Manifest
from pytest_llem.results.model import DeviceEnergy, ExperimentResult
from pytest_llem.results.store import CONFIG, LOG, RESULT, TIMESERIES, TRACE
from pytest_llem.results.study_result import Configuration, StudyResult, collect

POINTS = 150_000
"""Points of power that a page holds at most, shared by its cells: about two megabytes."""
MOST_OF_ONE_CELL, LEAST_OF_ONE_CELL = 1500, 60

MEANINGS = {
    **REASONS,
    "estimated_energy": "no power meter was used: the energy follows from CPU time and a stated power",
    "gpu_shared": "another process used the device, or memory was left on it",
    "throttled": "the device lowered its clocks because of temperature or power braking",
    "below_physical_floor": "less energy than the memory traffic or the arithmetic needs at idle power",
    "no_windows": "the worker reported no measured window",
}
"""Every reason code of a result, in words."""

Files = tuple[tuple[str, str], ...]  # (file name, path below the run's folder)


@dataclass(frozen=True)
class CellRow:
    """One line of the manifest with what was found. ``varied``: the swept values by dotted path."""

    entry: Entry
    result: ExperimentResult | None
    varied: dict[str, JsonValue]
    problem: str | None  # why there is no result where there should be one
    files: Files
    power: Power | None

    @property
    def outcome(self) -> str:
        """The manifest's status, with ``inconclusive`` for what passed only because nothing could be decided."""
        undecided = self.result is not None and any(v.outcome == "inconclusive" for v in self.result.verdicts)
        if self.problem is not None:
            return "error"
        return "inconclusive" if self.entry.status == "passed" and undecided else self.entry.status

    @property
    def estimated(self) -> bool:
        """The energy was not measured."""
        return self.result is not None and not self.result.measured

    @property
    def invalid(self) -> bool:
        """The measurement has a fatal reason."""
        return self.result is not None and not self.result.validity.valid


@dataclass(frozen=True)
class DeviceUse:
    """One device and what it did in this run. ``driver``: as its traces say."""

    name: str
    uuid: str
    driver: str
    cells: int
    idle_power_w: float | None
    power_limit_w: float | None
    max_temperature_c: float | None
    throttle_reasons: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """Something that results say about themselves, and which cells say it, ``invalid`` of them invalid ones.

    ``kind``: reason, warning, note, missing. ``meaning``: a reason code in words."""

    kind: str
    text: str
    meaning: str
    invalid: int
    cell_ids: tuple[str, ...]


@dataclass(frozen=True)
class PageData:
    """All of a page."""

    manifest: Manifest
    cells: tuple[CellRow, ...]
    configurations: tuple[Configuration, ...]
    positions: tuple[Position, ...]
    devices: tuple[DeviceUse, ...]
    notes: tuple[Note, ...]
    environment: tuple[tuple[str, str], ...]  # (dotted key, value)
    files: Files
    comparison: Report | None


def gather(folder: Path, comparison: Report | None = None) -> PageData:
    """Everything in a run's folder that the page shows; raises ResultError when it has no readable manifest."""
    study = collect(folder)
    cells = _rows(folder, study)
    results = study.results
    return PageData(
        manifest=study.manifest,
        cells=cells,
        configurations=study.configurations,
        positions=tuple(p for result in results if (p := position(result)) is not None),
        devices=_devices(cells),
        notes=_notes(results),
        environment=_environment(folder / "environment.json"),
        files=_existing(folder, "", ("study.yaml", "manifest.json", "environment.json")),
        comparison=comparison,
    )


def _rows(folder: Path, study: StudyResult) -> tuple[CellRow, ...]:
    results = {result.cell_id: result for result in study.results}
    varied = {cell_id: c.varied for c in study.configurations for cell_id in c.cell_ids}
    traced = [entry for entry in study.manifest.cells if _trace_of(folder, entry) is not None]
    points = max(LEAST_OF_ONE_CELL, min(MOST_OF_ONE_CELL, POINTS // max(1, len(traced))))
    rows = []
    for entry in study.manifest.cells:
        below = entry.cell_id if entry.result is None else str(Path(entry.result).parent)
        rows.append(
            CellRow(
                entry=entry,
                result=results.get(entry.cell_id),
                varied=varied.get(entry.cell_id, {}),
                problem=study.unreadable.get(entry.cell_id),
                files=_existing(folder, below, (RESULT, CONFIG, TRACE, TIMESERIES, LOG)),
                power=_power(_trace_of(folder, entry), points),
            )
        )
    return tuple(rows)


def _trace_of(folder: Path, entry: Entry) -> Path | None:
    path = None if entry.result is None else (folder / entry.result).parent / TRACE
    return path if path is not None and path.is_file() else None


def _power(path: Path | None, points: int) -> Power | None:
    """None where there is no trace, and for one that is damaged: the link to the file is there all the same."""
    if path is None:
        return None
    try:
        return thin(path, points)
    except TraceError:
        return None


def _existing(folder: Path, below: str, names: Sequence[str]) -> Files:
    return tuple((name, f"{below}/{name}".lstrip("/")) for name in names if (folder / below / name).is_file())


def _devices(cells: Sequence[CellRow]) -> tuple[DeviceUse, ...]:
    used: dict[str, list[tuple[DeviceEnergy, str]]] = {}
    for cell in cells:
        for device in cell.result.devices if cell.result is not None else ():
            used.setdefault(device.uuid, []).append((device, cell.power.driver if cell.power else ""))
    return tuple(
        DeviceUse(
            name=uses[-1][0].name,
            uuid=uuid,
            driver=next((driver for _, driver in uses if driver), ""),
            cells=len(uses),
            idle_power_w=uses[-1][0].idle_power_w,
            power_limit_w=uses[-1][0].power_limit_w,
            max_temperature_c=max((t for use, _ in uses if (t := use.max_temperature_c) is not None), default=None),
            throttle_reasons=tuple(dict.fromkeys(reason for use, _ in uses for reason in use.throttle_reasons)),
        )
        for uuid, uses in used.items()
    )


def _notes(results: Iterable[ExperimentResult]) -> tuple[Note, ...]:
    said: dict[tuple[str, str], list[ExperimentResult]] = {}
    for result in results:
        validity = result.validity
        for kind, texts in (
            ("reason", validity.reasons),
            ("note", validity.notes),
            ("warning", result.warnings),
            ("missing", tuple(f"{name}: {why}" for name, why in validity.missing.items())),
        ):
            for text in texts:
                said.setdefault((kind, text), []).append(result)
    order = ("reason", "warning", "note", "missing")
    notes = [
        Note(
            kind=kind,
            text=text,
            meaning=MEANINGS.get(text, "") if kind == "reason" else "",
            invalid=sum(not result.validity.valid for result in who),
            cell_ids=tuple(result.cell_id for result in who),
        )
        for (kind, text), who in said.items()
    ]
    return tuple(sorted(notes, key=lambda note: (order.index(note.kind), -note.invalid, -len(note.cell_ids))))


def _environment(path: Path) -> tuple[tuple[str, str], ...]:
    """Empty where the file is missing or damaged: it is shown for reading only, and linked where it exists."""
    try:
        return tuple(_flat(json.loads(path.read_bytes()), ""))
    except (OSError, ValueError):
        return ()


def _flat(value: JsonValue, key: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _flat(below, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{key}[{number}]")
    elif value is not None:
        yield key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
