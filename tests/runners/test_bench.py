"""The bench: what it does before, between and after experiments, beyond what whole runs show."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_llem.errors import BackendError, ExperimentFailed, ResultError, RunnerError, WorkerCrashed, WorkerTimeout
from pytest_llem.results.store import RunFolder
from pytest_llem.runners.bench import Bench
from pytest_llem.runners.conductor import WorkerSession
from pytest_llem.runners.devices import HOST_LOCK
from pytest_llem.runners.local import LocalWorker
from pytest_llem.runners.progress import Progress
from pytest_llem.runners.station import Settings
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.study import Cell


def cells(**fields: object) -> tuple[Cell, ...]:
    study = {
        "llem": 1,
        "model": "none",
        "backend": "instant",
        "measure": {"warmup": 0, "repeats": 1, "min_window_s": 0.01},
        **fields,
    }
    return study_from_mapping(study, name="benched").cells


@pytest.fixture
def bench(tmp_path: Path, instant: Path) -> Iterator[Bench]:
    made = Bench(Settings(meter="cpu-estimate", lock_dir=tmp_path / "locks", share_engine=True))
    yield made
    made.close()


@pytest.fixture
def told(tmp_path: Path, instant: Path) -> Iterator[tuple[Bench, list[str]]]:
    """A bench that shares no engine, and its warnings."""
    heard: list[str] = []
    made = Bench(Settings(meter="cpu-estimate", lock_dir=tmp_path / "locks"), warn=heard.append)
    yield made, heard
    made.close()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that end, but whose container cannot be removed."""
    release = LocalWorker.release

    def refuse(worker: LocalWorker) -> None:
        release(worker)
        raise RunnerError("container llem-x could not be removed")

    monkeypatch.setattr(LocalWorker, "release", refuse)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "results", "benched", "stamp")


def test_all_files_of_an_experiment(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    (cell,) = cells()
    result, path = bench.run(cell, folder, tmp_path)
    assert path == folder.path / "instant" / "result.json"
    found = {file.name for file in path.parent.iterdir()}
    assert {"result.json", "config.json", "trace.json.gz", "worker.log"} <= found
    assert (folder.path / "environment.json").exists()
    assert result.runner == {"runner": "local", "decided_by": "default"}


def test_a_gap_is_waited_for_and_told_but_not_before_the_first(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    first, second = cells(execution={"experiment_gap_s": 1.2}, sweep={"seed": [1, 2]})
    heard: list[Progress] = []
    for cell in (second, first, second):
        bench.run(cell, folder, tmp_path, heard.append)
    gaps = [step.text for step in heard if step.phase == "gap"]
    assert gaps == ["1 s", "0 s"]


def test_what_went_wrong_is_tried_again_as_often_as_asked(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    (cell,) = cells(instant={"behaviour": "kill"})
    heard: list[Progress] = []
    with pytest.raises(WorkerCrashed):
        bench.run(cell, folder, tmp_path, heard.append, retries=2)
    assert [(step.done, step.total) for step in heard if step.phase == "again"] == [(1, 2), (2, 2)]
    assert sum(step.phase == "starting" and not step.text for step in heard) == 3


def test_all_tries_together_end_when_the_study_does(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    (cell,) = cells(instant={"behaviour": "hang"})
    start = time.monotonic()
    with pytest.raises(WorkerTimeout):
        bench.run(replace(cell, end_by=start + 3), folder, tmp_path, retries=2)
    assert time.monotonic() - start < 5.5
    heard: list[Progress] = []
    with pytest.raises(WorkerTimeout, match="the time limit of the whole study is up"):
        bench.run(replace(cell, end_by=start + 3), folder, tmp_path, heard.append, retries=2)
    assert heard == []


def test_waiting_ends_when_the_study_does(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    """For what somebody else holds, and for the gap between two experiments."""
    first, second = cells(execution={"experiment_gap_s": 60}, sweep={"seed": [1, 2]})
    (tmp_path / "locks").mkdir()
    start = time.monotonic()
    for cell in (first, second):
        limited = replace(cell, end_by=time.monotonic() + 1)
        with (
            FileLock(tmp_path / "locks" / f"{HOST_LOCK}.lock"),
            pytest.raises(WorkerTimeout, match="the time limit of the whole study is up"),
        ):
            bench.run(limited, folder, tmp_path)
    assert time.monotonic() - start < 8


def test_an_engine_is_shared_until_another_is_needed(bench: Bench, folder: RunFolder, tmp_path: Path) -> None:
    wanted = cells(sweep={"instant.engine": ["a", "b"], "seed": [1, 2]})
    by_engine = sorted(wanted, key=lambda cell: str(cell.config.options))
    results = [bench.run(cell, folder, tmp_path)[0] for cell in by_engine]
    shared = [any("shares" in warning for warning in result.warnings) for result in results]
    assert shared == [False, True, False, True]
    assert f"ran in the worker of {by_engine[0].id}, whose loaded engine it shares" in results[1].warnings


def test_a_backend_that_does_not_exist_is_told_before_anything_is_started(
    bench: Bench, folder: RunFolder, tmp_path: Path
) -> None:
    (cell,) = cells()
    unknown = cell.config.model_copy(update={"backend": "instnat"})
    with pytest.raises(BackendError, match="unknown backend"):
        bench.run(replace(cell, config=unknown), folder, tmp_path)


def test_no_room_for_a_worker_and_no_folder_for_its_files_are_told(
    bench: Bench, folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = cells()
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with pytest.raises(RunnerError, match="no temporary folder for a worker can be made") as caught:
            bench.run(cell, folder, tmp_path)
    assert "TMPDIR" in str(caught.value)
    shutil.rmtree(folder.path)
    with pytest.raises(ResultError, match=r"instant: cannot be made: No such file"):
        bench.run(cell, folder, tmp_path)


Told = tuple[Bench, list[str]]


def test_a_worker_that_cannot_be_removed_costs_no_stored_result(
    told: Told, stuck: None, folder: RunFolder, tmp_path: Path
) -> None:
    (bench, warned), (cell,) = told, cells()
    heard: list[Progress] = []
    _, path = bench.run(cell, folder, tmp_path, heard.append, retries=2)
    assert path.exists()
    assert [step.phase for step in heard].count("again") == 0
    assert warned == ["a worker was not ended as it should be: container llem-x could not be removed"]


@pytest.mark.parametrize("warnings_are_errors", [False, True])
def test_a_worker_that_cannot_be_removed_hides_no_error(
    told: Told,
    stuck: None,
    folder: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warnings_are_errors: bool,
) -> None:
    def warn(text: str) -> None:
        raise UserWarning(text)

    bench = told[0]
    if warnings_are_errors:
        monkeypatch.setattr(bench, "_warn", warn)
    (failing,) = cells(instant={"behaviour": "fail"})
    with pytest.raises(ExperimentFailed, match="told to fail"):
        bench.run(failing, folder, tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkerSession, "_next", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run(cells()[0], folder, tmp_path, retries=1)


@pytest.mark.parametrize("share_engine", [False, True])
def test_after_a_failed_write_nothing_is_held_and_no_engine_shared(
    told: Told, folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share_engine: bool
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise ResultError(f"{path}: cannot be written: No space left on device")

    bench, (first, second) = told[0], cells(sweep={"seed": [1, 2]})
    monkeypatch.setattr(bench, "_settings", replace(bench._settings, share_engine=share_engine))
    with monkeypatch.context() as patched:
        patched.setattr("pytest_llem.runners.bench.write_atomic", full)
        with pytest.raises(ResultError, match="No space left"):
            bench.run(first, folder, tmp_path)
    assert bench._station is None
    result, _ = bench.run(second, folder, tmp_path)
    assert not any("shares" in warning for warning in result.warnings)
