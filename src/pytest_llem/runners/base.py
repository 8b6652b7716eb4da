"""What a runner is: a way to start one worker program, watch it and end it.

The conversation with the worker (:mod:`pytest_llem.runners.conductor`) is the same for every runner; a runner only
knows how a process is started in its world, what it has logged, and how it is made to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Launch:
    """What a runner needs to know to start a worker."""

    exchange: Path  # folder with the job files and the socket; the worker may write here and nowhere else
    job: Path  # the first job file: job-1.json inside `exchange`
    log: Path  # where the worker's stdout and stderr go, at the latest when it has ended
    run_id: str
    cell_id: str
    backend: str
    gpu_uuids: tuple[str, ...]  # exactly the GPUs that the worker may see; empty: none
    read_only: Sequence[Path] = ()  # local model and data folders that it reads
    network: bool = False  # a download is needed
    environment: Mapping[str, str] = field(default_factory=dict)  # not secret
    base_folder: str | None = None  # where relative paths of the study start (a model's folder, a file of prompts)


@dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    code: int  # exit status; -N: killed by signal N
    reason: str | None = None  # a sentence for what the code alone does not tell: "killed for memory", ...


class Worker(Protocol):
    """A started worker. All methods may be called again after it has ended."""

    pid: int | None  # the root of its process tree as this host sees it; None where it cannot be known

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs; never blocks."""
        ...

    def stop(self, grace_s: float) -> None:
        """Ask it to end, wait up to ``grace_s``, then kill it and all its processes; returns when nothing is left."""
        ...

    def release(self) -> None:
        """Remove what is left of it (the container, its socket); after this nothing of it exists but its files."""
        ...


class Runner(Protocol):
    """Starts workers. One runner serves a whole run."""

    name: str  # "local", "docker"

    def preflight(self, launches: Sequence[Launch]) -> None:
        """Once, before the first start: raise PreflightError with every problem that would stop these launches."""
        ...

    def start(self, launch: Launch) -> Worker:
        """Start the worker; raises RunnerError."""
        ...

    def describe(self) -> Mapping[str, str]:
        """What a result should say of where it ran: runner, image, digest; never a secret."""
        ...
