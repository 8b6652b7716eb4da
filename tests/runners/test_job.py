"""The files between host and worker: whole or not at all, and explained when they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_llem.errors import RunnerError
from pytest_llem.runners.job import WorkerJob, WorkerResult, read, write
from pytest_llem.study.config import ExperimentConfig


def job() -> WorkerJob:
    config = {"model": {"id": "tiny"}, "pytorch": {"batch_size": 4, "device_map": {"": 0}}, "measure": {"repeats": 2}}
    return WorkerJob(experiment=ExperimentConfig.model_validate(config), result="out.json", base_folder="/data")


def test_a_job_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "job.json", job())
    assert read(tmp_path / "job.json", WorkerJob) == job()
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_job_can_be_read_by_another_user_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "job.json", job())
    finally:
        os.umask(before)
    assert (tmp_path / "job.json").stat().st_mode & 0o777 == 0o644


def test_a_job_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"no/job\.json cannot be written"):
        write(tmp_path / "no" / "job.json", job())
    (tmp_path / "job.json").mkdir()
    with pytest.raises(RunnerError, match="cannot be written"):
        write(tmp_path / "job.json", job())
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"job\.json is not a WorkerJob: the file: Invalid JSON"),
        ("{}", "experiment: Field required"),
        ('{"experiment": {"model": {"id": "tiny"}}, "surprise": 1}', "surprise: Extra inputs"),
    ],
)
def test_a_bad_job_says_where(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(RunnerError, match=message) as caught:
        read(tmp_path / "job.json", WorkerJob)
    assert caught.value.hint is not None
    assert "same version" in caught.value.hint


def test_a_result_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"none\.json cannot be read: No such file"):
        read(tmp_path / "none.json", WorkerResult)
