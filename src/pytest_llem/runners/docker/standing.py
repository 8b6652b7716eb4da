"""A container of a backend's image that stays up, for a test that looks into it or runs its own commands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.client import explain, failures
from pytest_llem.runners.docker.worker import DockerWorker

if TYPE_CHECKING:
    from docker import DockerClient

STAY = "import signal; signal.pause()"


class Answer(NamedTuple):
    """What a command in a container came to: its exit status, and stdout and stderr as they came."""

    status: int
    output: str


@dataclass(eq=False)
class StandingContainer:
    """As hardened as a worker's: no network, nothing writable but ``/tmp`` and its own ``folder``."""

    name: str
    image: str
    folder: Path  # at the same path inside
    _client: DockerClient
    _worker: DockerWorker
    _log: Path
    _commands: list[str] = field(default_factory=list)

    def run(self, *command: str) -> Answer:
        """Run a command in it and wait for its end; raises RunnerError where the container is not there any more."""
        try:
            found = self._client.containers.get(self.name).exec_run(list(command), workdir=str(self.folder))
        except failures() as error:
            raise explain(error, f"container {self.name} cannot run {command[0]}") from None
        if found.exit_code is None:
            raise RunnerError(f"container {self.name} ended while it ran {command[0]}")
        answer = Answer(found.exit_code, (found.output or b"").decode(errors="replace"))
        self._commands.append(f"$ {shlex.join(command)}\n{answer.output.rstrip()}\n[exit status {answer.status}]\n")
        return answer

    def log(self) -> str:
        """What it has printed, then the commands that were run in it, with their output."""
        own = self._log.read_text(errors="replace") if self._log.exists() else ""
        return own + "".join(self._commands)

    def close(self) -> None:
        """Stop and remove it."""
        self._worker.release()
