"""What tests with the ``llem`` fixture ran, entered into manifests as it is reported: nothing lists it beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llem.errors import ResultError
from pytest_llem.reporting import flat_figures, overall
from pytest_llem.results.clock import now
from pytest_llem.results.manifest import Entry, Manifest, Status
from pytest_llem.results.run import Run
from pytest_llem.results.store import RunFolder, read_result
from pytest_llem.version import __version__

_STATUS: dict[str, Status] = {"over_budget": "over_budget"}


def open_run(path: Path, study: str, test_file: Path) -> Run:
    """The run in a folder that a test has made; its manifest is made where there is none."""
    folder = RunFolder(path)
    manifest = Manifest(
        tool_version=__version__,
        run_id=folder.run_id,
        study=study,
        study_file=str(test_file),
        study_hash="",  # nothing says beforehand what a test will run, so it cannot be gone on with
        started_at=now(),
    )
    return Run.create(folder, manifest)


def enter(run: Run, nodeid: str, figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Enter what a test ran, the last under its own node id; returns the figures of those before it, by theirs."""
    earlier = {}
    for number, path in enumerate(str(figures.get("earlier", "")).splitlines(), 1):
        try:
            result = read_result(Path(path))
        except ResultError:  # removed or damaged since: that test was told its result all the same
            continue
        name = f"{nodeid} (run {number})"
        status = _STATUS.get(overall(result), "passed")
        earlier[name] = {**flat_figures(result, Path(path)), "status": status}
        run.add(
            Entry(
                nodeid=name,
                cell_id=result.cell_id,
                config_hash=result.config_hash,
                cycle=result.cycle,
                status=status,
                started_at=result.started_at,
                finished_at=result.finished_at,
                result=os.path.relpath(path, run.folder.path),
            )
        )
    run.add(Entry(nodeid=nodeid, cell_id=str(figures["cell_id"]), config_hash=str(figures["config_hash"]), cycle=1))
    run.started(nodeid)
    return earlier
