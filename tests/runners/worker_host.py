"""A small host for tests: starts the real worker program and talks to it over a real socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from pytest_llem.runners.job import WorkerJob, write
from pytest_llem.runners.messages import CONFIG_VARIABLE, decode, encode, socket_address
from pytest_llem.study.config import ExperimentConfig

WAIT_S = 60.0
QUICK = {"warmup": 1, "repeats": 2, "min_window_s": 0.05}


def job(result: str = "result.json", base_folder: str | None = None, **fields: Any) -> WorkerJob:
    """A quick job on tiny; ``fields`` as in a study file."""
    fields = {"model": {"id": "tiny"}, "dataset": {"n": 2, "input_tokens": 8}, "max_output_tokens": 6, **fields}
    fields["measure"] = {**QUICK, **fields.get("measure", {})}
    experiment = ExperimentConfig.model_validate(fields)
    return WorkerJob(experiment=experiment, result=result, base_folder=base_folder)


class TestHost:
    """Listens in ``folder``, starts a worker with the first job."""

    __test__ = False

    def __init__(self, folder: Path, first: WorkerJob) -> None:
        self.folder = folder
        write(folder / "job.json", first)
        listener = socket.socket(socket.AF_UNIX)
        with socket_address(folder) as address:  # pytest's folders have long names
            listener.bind(address)
        listener.listen(1)
        listener.settimeout(WAIT_S)
        environment = {
            **os.environ,
            CONFIG_VARIABLE: str(folder / "job.json"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest_llem.runners.worker"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._connection, _ = listener.accept()
        listener.close()
        self._connection.settimeout(WAIT_S)
        self._lines = self._connection.makefile("rb")

    def say(self, kind: Any, **fields: object) -> None:
        self._connection.sendall(encode(kind, **fields))

    def hear(self) -> dict[str, Any]:
        """The next message, whatever it is."""
        return decode(self._lines.readline())

    def hear_until(self, *kinds: str) -> list[dict[str, Any]]:
        """All messages up to the first of ``kinds``."""
        heard = [self.hear()]
        while heard[-1]["type"] not in kinds:
            heard.append(self.hear())
        return heard

    def lead(self) -> list[dict[str, Any]]:
        """Say ``go`` to everything until there is a result or an error."""
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["type"] not in ("result", "error"):
            heard += self.hear_until("loaded", "ready", "result", "error")
            if heard[-1]["type"] in ("loaded", "ready"):
                self.say("go")
        return heard

    def result(self, name: str = "result.json") -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads((self.folder / name).read_text())
        return parsed

    def hang_up(self) -> None:
        self._lines.close()
        self._connection.close()

    def wait(self) -> int:
        return self.process.wait(WAIT_S)

    def end(self) -> None:
        """Whatever happened, leave no process."""
        self.hang_up()
        self.process.kill()
        self.process.wait()
