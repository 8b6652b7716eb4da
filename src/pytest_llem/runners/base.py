"""What a runner is: a way to start one worker program, watch it and end it.

The conversation with the worker (:mod:`pytest_llem.runners.conductor`) is the same for every runner; a runner only
knows how a process is started in its world, what it has logged, and how it is made to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Busy = Literal["warn", "fail", "wait"]  # what to do when a GPU is not clean
Isolation = Literal["experiment", "engine"]  # a fresh worker for each, or a loaded engine shared


@dataclass(frozen=True)
class Launch:
    """What a runner needs to know to start a worker."""

    exchange: Path  # folder with the job files and the socket; the worker may write here and nowhere else
    log: Path  # where the worker's stdout and stderr go, at the latest when it has ended
    run_id: str
    cell_id: str
    backend: str
    gpu_uuids: tuple[str, ...] = ()  # exactly the GPUs that the worker may see
    read_only: Sequence[Path] = ()  # local model and data folders that it reads
    network: bool = False  # a download is needed
    base_folder: str | None = None  # where relative paths of the study start (a model's folder, a file of prompts)

    @property
    def job(self) -> Path:
        """The file of the first job."""
        return self.exchange / "job-1.json"


class Worker(Protocol):
    """A started worker. All methods may be called again after it has ended."""

    pid: int | None  # the root of its process tree as this host sees it; None where it cannot be known

    def ended(self) -> str | None:
        """How it ended, such as "exit status 1" or "killed for memory"; None while it runs. Never blocks."""
        ...

    def stop(self, grace_s: float) -> None:
        """Ask it to end, wait up to ``grace_s``, then kill it and all its processes; returns when nothing is left."""
        ...

    def release(self) -> None:
        """Remove what is left of it (the container, its socket); after this nothing of it exists but its files."""
        ...


class Runner(Protocol):
    """Starts workers. One runner serves a whole run."""

    def preflight(self, launch: Launch) -> None:
        """Before the first start: raise PreflightError with every problem that would stop this launch."""
        ...

    def start(self, launch: Launch) -> Worker:
        """Start the worker; raises RunnerError."""
        ...

    def origin(self, backend: str) -> Mapping[str, str]:
        """``image`` and ``image_digest`` that serve a backend; nothing where the host's own libraries do."""
        ...

    def describe(self) -> Mapping[str, str]:
        """What a result should say of where its worker ran: runner, image, digest; never a secret."""
        ...
