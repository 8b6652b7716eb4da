"""What the page shows of one run, gathered from its folder: no HTML here, and nothing is changed on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from pytest_llem.errors import TraceError
from pytest_llem.report.html.power import Power, thin
from pytest_llem.report.html.roofline import Position, position
from pytest_llem.report.table import status_of
from pytest_llem.results.comparison import Report
from pytest_llem.results.manifest import Entry, Manifest
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import CONFIG, LOG, RESULT, TIMESERIES, TRACE
from pytest_llem.results.study_result import CellVerdict, Configuration, StudyResult, collect

POINTS = 150_000
"""Points of power that a page holds at most, shared by its cells: about two megabytes."""
MOST_OF_ONE_CELL, LEAST_OF_ONE_CELL = 1500, 60

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
        """What the page says of it."""
        return "error" if self.problem is not None else status_of(self.entry.status, self.result)

    @property
    def estimated(self) -> bool:
        """The energy was not measured."""
        return self.result is not None and not self.result.measured

    @property
    def invalid(self) -> bool:
        """The measurement has a fatal reason."""
        return self.result is not None and not self.result.validity.valid


@dataclass(frozen=True)
class PageData:
    """All of a page."""

    manifest: Manifest
    cells: tuple[CellRow, ...]
    configurations: tuple[Configuration, ...]
    positions: tuple[Position, ...]
    verdicts: tuple[CellVerdict, ...]
    environment: tuple[tuple[str, str], ...]  # (dotted key, value)
    files: Files
    comparison: Report | None


def gather(folder: Path, comparison: Report | None = None) -> PageData:
    """Everything in a run's folder that the page shows; raises ResultError when it has no readable manifest."""
    study = collect(folder)
    return PageData(
        manifest=study.manifest,
        cells=_rows(folder, study),
        configurations=study.configurations,
        positions=tuple(found for result in study.results if (found := position(result)) is not None),
        verdicts=study.verdicts,
        environment=_environment(folder / "environment.json"),
        files=_existing(folder, "", ("study.yaml", "manifest.json", "environment.json")),
        comparison=comparison,
    )


def _rows(folder: Path, study: StudyResult) -> tuple[CellRow, ...]:
    results = {result.cell_id: result for result in study.results}
    varied = {cell_id: c.varied for c in study.configurations for cell_id in c.cell_ids}
    below = {e.cell_id: e.cell_id if e.result is None else str(Path(e.result).parent) for e in study.manifest.cells}
    files = {cell_id: _existing(folder, path, _OF_CELL) for cell_id, path in below.items()}
    traces = {cell_id: dict(found)[TRACE] for cell_id, found in files.items() if TRACE in dict(found)}
    points = max(LEAST_OF_ONE_CELL, min(MOST_OF_ONE_CELL, POINTS // max(1, len(traces))))
    return tuple(
        CellRow(
            entry=entry,
            result=results.get(entry.cell_id),
            varied=varied.get(entry.cell_id, {}),
            problem=study.unreadable.get(entry.cell_id),
            files=files[entry.cell_id],
            power=_power(folder / trace, points) if (trace := traces.get(entry.cell_id)) else None,
        )
        for entry in study.manifest.cells
    )


_OF_CELL = (RESULT, CONFIG, TRACE, TIMESERIES, LOG)


def _power(path: Path, points: int) -> Power | None:
    """None for a trace that is damaged: the link to the file is there all the same."""
    try:
        return thin(path, points)
    except TraceError:
        return None


def _existing(folder: Path, below: str, names: Sequence[str]) -> Files:
    return tuple((name, f"{below}/{name}".lstrip("/")) for name in names if (folder / below / name).is_file())


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
