"""Going on with a run that did not come to its end: which run, is it still the same study, what it has already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_llem.errors import ResultError
from pytest_llem.results.budgets import judge
from pytest_llem.results.manifest import read_manifest
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import RESULT, RunFolder, read_result, safe_name
from pytest_llem.study.study import Cell, Study

NEWEST = "newest"
_STAMP = re.compile(r"-(\d{8}T\d{6}Z-[0-9a-f]{4})(?:-\d+)?$")
_SHOWN = 5


def find_stamp(results: Path, wanted: str, places: Sequence[Path]) -> str:
    """The stamp that names the folders of the run to go on with; raises ResultError.

    ``wanted``: a run's folder or its name, or ``newest``: the newest run that is not done, of a study in ``places``."""
    if wanted == NEWEST:
        return _newest(results, places)
    folder = Path(wanted) if Path(wanted, "manifest.json").exists() else results / wanted
    found = _STAMP.search(folder.resolve().name)
    if found is None or not (folder / "manifest.json").exists():
        names = sorted((path.parent.name for path in results.glob("*/manifest.json")), key=_time_of, reverse=True)
        hint = f"the newest are: {', '.join(names[:_SHOWN])}" if names else f"there is no run in {results}"
        raise ResultError(f"{wanted}: there is no such run", hint=hint)
    if not read_manifest(folder / "manifest.json").study_hash:
        raise ResultError(
            f"{wanted}: is a run of tests in Python, which cannot be gone on with",
            hint="run them again without --llem-resume",
        )
    if folder.resolve().parent != results.resolve():
        raise ResultError(
            f"{wanted}: lies outside of the results folder {results}",
            hint=f"add --llem-results={folder.resolve().parent}",
        )
    return found[1]


def _newest(results: Path, places: Sequence[Path]) -> str:
    complete = 0
    for path in sorted(results.glob("*/manifest.json"), key=lambda path: _time_of(path.parent.name), reverse=True):
        try:
            manifest = read_manifest(path)
        except ResultError:
            continue  # somebody else's, or damaged: it can be named, and is then complained about
        found = _STAMP.search(path.parent.name)
        if found is None or not manifest.study_hash or not _within(Path(manifest.study_file).resolve(), places):
            continue
        if manifest.is_done:
            complete += 1
            continue
        return found[1]
    raise ResultError(
        f"there is no run to go on with in {results}" + (f": {complete} are complete" if complete else ""),
        hint="start a new run without --llem-resume",
    )


def _time_of(name: str) -> str:
    found = _STAMP.search(name)
    return found[1] if found else ""


def _within(file: Path, places: Sequence[Path]) -> bool:
    return any(file == place or place in file.parents for place in places)


def folder_of(results: Path, stamp: str, study: Study) -> RunFolder | None:
    """The folder in which a run keeps a study; None where that run had not come to it."""
    moved = []
    for path in sorted(results.glob(f"*-{stamp}*/manifest.json")):
        manifest = read_manifest(path)
        if manifest.study == study.name:
            if manifest.study_file == study.file:
                return RunFolder(path.parent)
            if manifest.study_is_gone:
                moved.append(path.parent)
    return RunFolder(moved[0]) if len(moved) == 1 else None


def refuse_another(study: Study, results: Path, stamp: str) -> None:
    """Raise ResultError, with what differs, where a run began with another state of the study."""
    folder = folder_of(results, stamp, study)
    if folder is None:
        return
    manifest = read_manifest(folder.manifest)
    if manifest.study_hash == study.study_hash:
        return
    before = {entry.cell_id: entry.config_hash for entry in manifest.cells}
    after = {cell.id: cell.config_hash for cell in study.cells}
    told = [
        _some("added", after.keys() - before.keys()),
        _some("removed", before.keys() - after.keys()),
        _some("changed", {name for name in before.keys() & after.keys() if before[name] != after[name]}),
    ]
    differences = [text for text in told if text] or ["cycles, order or gaps differ"]
    raise ResultError(
        f"{manifest.run_id} cannot be gone on with: the study has changed: {'; '.join(differences)}",
        hint="start a new run without --llem-resume, or put the study back as it was (study.yaml in the run's folder)",
    )


def _some(word: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    others = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"{word}: {', '.join(listed[:_SHOWN])}{others}" if listed else ""


def stored(folder: RunFolder, cell: Cell) -> tuple[ExperimentResult, Path] | None:
    """The result that a run has of a cell; None where there is none that can be read and is of this experiment."""
    path = folder.path / safe_name(cell.id) / RESULT
    try:
        result = read_result(path)
    except ResultError:
        return None
    return (result, path) if result.config_hash == cell.config_hash and result.cycle == cell.cycle else None


def judged_again(result: ExperimentResult, path: Path, cell: Cell, folder: RunFolder) -> tuple[ExperimentResult, Path]:
    """A stored result with the verdicts on the cell's present budgets; written again where these have changed."""
    verdicts = judge(result, cell.budgets)
    if verdicts == result.verdicts:
        return result, path
    result = result.model_copy(update={"verdicts": verdicts})
    return result, folder.write_result(result)
