"""The files that host and worker exchange: a job goes in, a result comes out, each written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_llem.errors import RunnerError
from pytest_llem.runners.messages import PROTOCOL_VERSION
from pytest_llem.runners.worker_result import WorkerResult
from pytest_llem.study.config import ExperimentConfig

Model = TypeVar("Model", bound=BaseModel)


class WorkerJob(BaseModel):
    """One experiment for a worker. Names of files are relative to the folder that the job file is in.

    ``base_folder``: where relative paths inside the experiment (a model's folder, a prompt file) start; None leaves the
    worker's own working directory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: int = PROTOCOL_VERSION
    socket: str = "llem.sock"
    experiment: ExperimentConfig
    result: str = "worker-result.json"
    cell_id: str = ""
    base_folder: str | None = None


def write_job(path: Path, job: WorkerJob) -> None:
    """Write the job file."""
    _write(path, job.model_dump_json(indent=1))


def read_job(path: Path) -> WorkerJob:
    """Read a job file; raises RunnerError."""
    return _read(path, WorkerJob)


def write_worker_result(path: Path, result: WorkerResult) -> None:
    """Write the result file."""
    _write(path, result.model_dump_json())


def read_worker_result(path: Path) -> WorkerResult:
    """Read a result file; raises RunnerError."""
    return _read(path, WorkerResult)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # whatever the umask: a container's user is another one; the folder keeps strangers out
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunnerError(f"{path} cannot be written: {error.strerror or error}") from error


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunnerError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunnerError(
            f"{path.name} is not a {model.__name__}: {where}: {first['msg']}",
            hint="host and worker must run the same version of pytest-llem",
        ) from error
