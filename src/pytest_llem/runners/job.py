"""The files that host and worker exchange: a job goes in, a result comes out, each written whole or not at all.

A result says when everything happened and how much work it was, but nothing about energy. Times are CLOCK_MONOTONIC
seconds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_llem.backends.base import ModelFacts
from pytest_llem.errors import RunnerError
from pytest_llem.results.model import Record, Warmup, Work
from pytest_llem.runners.messages import PROTOCOL_VERSION
from pytest_llem.study.config import ExperimentConfig

Model = TypeVar("Model", bound=BaseModel)


class WorkerJob(BaseModel):
    """One experiment for a worker. ``result``: the name of the file that it answers with, in the job file's folder.

    ``base_folder``: where relative paths inside the experiment (a model's folder, a prompt file) start; None leaves the
    worker's own working directory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: int = PROTOCOL_VERSION
    experiment: ExperimentConfig
    result: str = "worker-result.json"
    base_folder: str | None = None


class WorkerWindow(Work):
    """One repeat: ``passes`` passes through the whole workload, the device idle at both ends.

    ``marks`` are (label, units, end). Latency lists hold one entry for each answer, ``itl_s`` one for each gap between
    two tokens; they are empty where the backend could not tell. tpot = (e2el - ttft) / (output tokens - 1).
    """

    marks: tuple[tuple[str, float, float], ...]
    ttft_s: tuple[float, ...]
    e2el_s: tuple[float, ...]
    tpot_s: tuple[float, ...]
    itl_s: tuple[float, ...]


class WorkerResult(Record):
    """All that one experiment's worker has to say."""

    protocol: int = PROTOCOL_VERSION
    facts: ModelFacts
    versions: dict[str, str]
    load_start: float
    warmup: Warmup
    windows: tuple[WorkerWindow, ...]
    output_hash: str  # sha256 over all token ids of one pass
    prompts: int  # in one pass
    prompts_cut: int  # how many of them were longer than ``input_tokens``
    prompt_hash: str
    peak_memory_bytes: int | None  # from the start of loading to the end of the last window
    memory_source: str  # how it was read
    notes: tuple[str, ...] = ()


def write(path: Path, content: BaseModel) -> None:
    """Write one of these files; raises RunnerError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(content.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # whatever the umask: a container's user is another one; the folder keeps strangers out
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunnerError(f"{path} cannot be written: {error.strerror or error}") from error


def read(path: Path, model: type[Model]) -> Model:
    """Read one of these files; raises RunnerError."""
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
