"""Studies and experiments from Python, without pytest."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_llem import load_study, run_experiment, run_study
from pytest_llem.api import Progress, RunSettings
from pytest_llem.errors import Cancelled, ExperimentFailed, LlemError, ResultError, RunnerError, StudyError
from pytest_llem.results.manifest import read_manifest
from pytest_llem.runners.bench import Bench
from pytest_llem.runners.local import LocalWorker
from pytest_llem.study.config import ExperimentConfig
from tests.conftest import FAST, Studies

ONE = {
    "model": "none",
    "backend": "instant",
    "max_output_tokens": 4,
    "measure": {"warmup": 0, "repeats": 1, "min_window_s": 0.02},
}
TWO = f"llem: 1\nname: two\nmodel: none\nbackend: instant\n{FAST}\nsweep: {{max_output_tokens: [1, 2]}}\n"


@pytest.fixture
def settings(tmp_path: Path, instant: Path) -> RunSettings:
    return RunSettings(results=tmp_path / "results", meter="cpu-estimate", lock_dir=tmp_path / "locks")


def test_one_experiment(settings: RunSettings) -> None:
    steps: list[Progress] = []
    result = run_experiment(ONE, settings=settings, progress=steps.append)
    assert result.output_tokens % (4 * 8) == 0
    assert [step.phase for step in steps][-1] == "finishing"
    (folder,) = Path(settings.results).glob("experiment-*")
    assert [(entry.status, entry.cell_id) for entry in read_manifest(folder / "manifest.json").cells] == [
        ("passed", "instant")
    ]


def test_a_typed_configuration_with_options_of_a_third_party(settings: RunSettings) -> None:
    config = ExperimentConfig.model_validate({**ONE, "model": {"id": "none"}, "options": {"behaviour": "fail"}})
    with pytest.raises(ExperimentFailed, match="told to fail"):
        run_experiment(config, settings=settings)


def test_what_is_wrong_with_a_mapping_is_told(settings: RunSettings) -> None:
    with pytest.raises(StudyError, match="sede"):
        run_experiment({**ONE, "sede": 3}, settings=settings)
    with pytest.raises(LlemError, match="2 experiments are described"):
        run_experiment({**ONE, "sweep": {"seed": [1, 2]}}, settings=settings)


def test_a_study_gives_what_pytest_gives(settings: RunSettings, studies: Studies) -> None:
    path = studies.write(TWO + "budgets: [{metric: e2el_s, max: 0, when: {max_output_tokens: 2}}]\n")
    found = run_study(path, settings=settings)
    assert studies.run().ret == 1
    by_pytest = studies.results()
    assert {result.cell_id: result.output_hash for result in found.results} == {
        name: result["output_hash"] for name, result in by_pytest.items()
    }
    assert {entry.cell_id: entry.status for entry in found.manifest.cells} == studies.statuses()
    assert found.manifest.study_hash == studies.manifest()["study_hash"]
    assert found.manifest.status == "finished"
    ours = {path.name for path in Path(settings.results).glob("two-*/*/*")}
    assert ours == {path.name for path in studies.runs()[0].glob("*/*")}


def test_cycles_end_as_soon_as_they_have_decided(settings: RunSettings, studies: Studies) -> None:
    execution = "execution: {cycles: auto, max_cycles: 8}\nbudgets: [{metric: e2el_s, max: 100}]\n"
    found = run_study(studies.write(TWO.replace("[1, 2]", "[1]") + execution), settings=settings)
    statuses = [entry.status for entry in found.manifest.cells]
    assert statuses == ["passed"] * 3 + ["skipped"] * 5
    assert studies.run().ret == 0
    assert list(studies.statuses().values()) == statuses


def test_failures_are_told_and_stop_nothing_else(settings: RunSettings, studies: Studies) -> None:
    path = studies.write(TWO.replace("max_output_tokens: [1, 2]", "instant.behaviour: [kill, good]"))
    found = run_study(load_study(path), settings=settings)
    assert [(entry.status, entry.error_type) for entry in found.manifest.cells] == [
        ("failed", "WorkerCrashed"),
        ("passed", None),
    ]


def test_cancelled_in_the_middle_and_gone_on_with(settings: RunSettings, studies: Studies) -> None:
    path = studies.write(TWO.replace("sweep", "instant: {seconds: 3}\nsweep"))
    cancel = threading.Event()
    steps: list[Progress] = []

    def progress(step: Progress) -> None:
        steps.append(step)
        if step.phase == "window" and step.cell_id == "instant-out2":
            threading.Timer(0.2, cancel.set).start()
            cancelled_at.append(time.monotonic())

    cancelled_at: list[float] = []
    with pytest.raises(Cancelled):
        run_study(path, settings=settings, progress=progress, cancel=cancel)
    assert time.monotonic() - cancelled_at[0] < 3
    (folder,) = Path(settings.results).glob("two-*")
    manifest = read_manifest(folder / "manifest.json")
    assert manifest.status == "interrupted"
    assert [entry.status for entry in manifest.cells] == ["passed", "interrupted"]

    steps.clear()
    found = run_study(path, settings=settings, resume=folder, progress=steps.append)
    assert {step.cell_id for step in steps} == {"instant-out2"}
    assert [entry.status for entry in found.manifest.cells] == ["passed", "passed"]
    assert found.manifest.run_id == folder.name

    path.write_text(path.read_text().replace("[1, 2]", "[1, 2, 3]"))
    with pytest.raises(ResultError, match="added: instant-out3"):
        run_study(path, settings=settings, resume=folder)


def test_too_many_failures_stop_a_study(settings: RunSettings, studies: Studies) -> None:
    text = TWO.replace("[1, 2]", "[1, 2, 3]") + "instant: {behaviour: fail}\nexecution: {max_consecutive_failures: 2}\n"
    found = run_study(studies.write(text), settings=settings)
    assert [entry.status for entry in found.manifest.cells] == ["failed", "failed", "skipped"]
    assert found.manifest.status == "stopped"


@pytest.mark.parametrize("words", [{"busy": "wate"}, {"isolation": "none"}])
def test_a_setting_that_is_none_of_those_possible(words: dict[str, Any]) -> None:
    with pytest.raises(LlemError, match=" is not possible"):
        RunSettings(**words)


def test_the_time_limit_of_a_study_holds_for_all_tries_together(settings: RunSettings, studies: Studies) -> None:
    text = TWO + "instant: {behaviour: hang}\nexecution: {study_timeout_s: 3, retries: 2}\n"
    start = time.monotonic()
    found = run_study(studies.write(text), settings=settings)
    assert time.monotonic() - start < 5.5
    assert [entry.status for entry in found.manifest.cells] == ["failed", "skipped"]


def test_a_disk_that_is_full_for_a_moment_fails_one_experiment(
    settings: RunSettings, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def mkdtemp(prefix: str, real: Callable[..., str] = tempfile.mkdtemp) -> str:
        made.append(prefix)
        if len(made) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(prefix=prefix)

    monkeypatch.setattr("pytest_llem.runners.station.tempfile.mkdtemp", mkdtemp)
    found = run_study(studies.write(TWO.replace("[1, 2]", "[1, 2, 3]")), settings=settings)
    statuses = [(entry.status, entry.error_type) for entry in found.manifest.cells]
    assert statuses == [("passed", None), ("failed", "RunnerError"), ("passed", None)]


@pytest.mark.parametrize("isolation", ["experiment", "engine"])
def test_a_worker_that_cannot_be_removed_is_warned_of(
    settings: RunSettings, studies: Studies, monkeypatch: pytest.MonkeyPatch, isolation: Literal["experiment", "engine"]
) -> None:
    release = LocalWorker.release

    def refuse(worker: LocalWorker) -> None:
        release(worker)
        raise RunnerError("container llem-x could not be removed")

    monkeypatch.setattr(LocalWorker, "release", refuse)
    with pytest.warns(UserWarning, match="container llem-x could not be removed"):
        found = run_study(studies.write(TWO), settings=replace(settings, isolation=isolation))
    assert found.manifest.status == "finished"
    assert [entry.status for entry in found.manifest.cells] == ["passed", "passed"]


def test_a_run_whose_bench_does_not_close_is_ended_in_its_manifest(
    settings: RunSettings, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(bench: Bench) -> None:
        raise RunnerError("the engine is gone")

    monkeypatch.setattr(Bench, "close", refuse)
    with pytest.raises(RunnerError, match="the engine is gone"):
        run_study(studies.write(TWO), settings=settings)
    (folder,) = Path(settings.results).glob("two-*")
    assert read_manifest(folder / "manifest.json").status == "finished"


def test_pytest_is_not_imported() -> None:
    code = "import pytest_llem.api, sys; print(sorted({'pytest', '_pytest', 'torch', 'docker'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
