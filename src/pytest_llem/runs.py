"""Making the folders of a run, before its first item: the study, and a manifest that lists every cell as pending."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

import pytest_llem
from pytest_llem.nodes import StudyFile, StudyItem
from pytest_llem.options import options_of
from pytest_llem.results.clock import now
from pytest_llem.results.manifest import Entry, Manifest, create_manifest
from pytest_llem.results.store import RunFolder, write_atomic


def prepare(items: Iterable[pytest.Item], config: pytest.Config, stamp: str) -> None:
    """Make one run folder for each study that has items; every xdist worker of a run comes to the same folders.

    Raises pytest.UsageError where a folder cannot be made or written to."""
    by_file: dict[StudyFile, list[StudyItem]] = {}
    for item in items:
        if isinstance(item, StudyItem) and isinstance(item.parent, StudyFile):
            by_file.setdefault(item.parent, []).append(item)
    names: dict[str, int] = {}
    for file, cells in by_file.items():
        names[file.study.name] = number = names.get(file.study.name, 0) + 1
        suffix = "" if number == 1 else f"-{number}"  # two studies of one name in one run
        file.folder = RunFolder.create(options_of(config).results, file.study.name, stamp + suffix)
        _write_first(file, cells)


def _write_first(file: StudyFile, items: list[StudyItem]) -> None:
    folder = file.folder
    if folder.manifest.exists():
        return
    write_atomic(folder.path / "study.yaml", file.path.read_bytes())
    entries = [
        Entry(nodeid=item.nodeid, cell_id=item.cell.id, config_hash=item.cell.config_hash, cycle=item.cell.cycle)
        for item in items
    ]
    manifest = Manifest(
        tool_version=pytest_llem.__version__,
        run_id=folder.run_id,
        study=file.study.name,
        study_file=str(file.path),
        study_hash=file.study.study_hash,
        started_at=now(),
        cells=tuple(entries),
    )
    create_manifest(folder.manifest, manifest)
