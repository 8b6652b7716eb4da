"""A manifest tells the truth after every step."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.manifest import Entry, Manifest, read_manifest
from pytest_llem.results.run import Run
from pytest_llem.results.store import RunFolder


def first(note: str | None = None) -> Manifest:
    cells = tuple(
        Entry(nodeid=f"s.yaml::s[{name}]", cell_id=name, config_hash=name, cycle=1) for name in ("a", "b", "c")
    )
    return Manifest(
        tool_version="0",
        run_id="r",
        study="s",
        study_file="s.yaml",
        study_hash="h",
        started_at="2026-01-01T00:00:00Z",
        cells=cells,
        note=note,
    )


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(RunFolder.create(tmp_path, "s", "stamp"), first())


def on_disk(run: Run) -> list[str]:
    return [entry.status for entry in read_manifest(run.folder.manifest).cells]


def test_every_step_is_on_disk_before_the_next(run):
    assert on_disk(run) == ["pending", "pending", "pending"]
    run.started("s.yaml::s[a]")
    assert on_disk(run) == ["running", "pending", "pending"]
    run.ended("s.yaml::s[a]", "passed", result="a/result.json")
    run.started("s.yaml::s[b]")
    run.finished(interrupted=True)
    assert on_disk(run) == ["passed", "interrupted", "pending"]
    manifest = read_manifest(run.folder.manifest)
    assert (manifest.status, manifest.cells[0].result) == ("interrupted", "a/result.json")
    assert manifest.cells[0].started_at <= manifest.cells[0].finished_at


def _create(arguments: tuple[str, int]) -> str | None:
    folder, number = arguments
    return Run.create(RunFolder.create(Path(folder), "s", "stamp"), first(str(number))).manifest.note


def test_of_many_processes_the_first_makes_the_manifest_and_all_agree(tmp_path):
    with ProcessPoolExecutor(4) as pool:
        notes = set(pool.map(_create, [(str(tmp_path), n) for n in range(12)]))
    assert len(notes) == 1
    assert [path.name for path in (tmp_path / "s-stamp").iterdir()] == ["manifest.json"]


def test_a_damaged_manifest_is_named(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"run_id": 1}))
    with pytest.raises(ResultError, match=r"manifest\.json: is damaged: tool_version: Field required"):
        read_manifest(path)
    path.write_text(json.dumps({"manifest_version": 99}))
    with pytest.raises(ResultError, match="version 99 of the format; this pytest-llem reads version 1"):
        read_manifest(path)
    path.write_text("")
    with pytest.raises(ResultError, match=r"manifest\.json: cannot be read as a manifest"):
        read_manifest(path)
