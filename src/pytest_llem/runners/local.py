"""The local runner: a worker is a fresh Python process in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_llem.errors import RunnerError
from pytest_llem.processes import kill, session_members
from pytest_llem.runners.base import Launch
from pytest_llem.runners.messages import CONFIG_VARIABLE


class LocalWorker:
    """A worker process and everything that it started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid: int | None = process.pid

    def ended(self) -> str | None:
        code = self._process.poll()
        return None if code is None else describe_exit(code)

    def stop(self, grace_s: float) -> None:
        try:
            if self._process.poll() is None and grace_s > 0:
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace_s)
        finally:
            self._kill_session()

    def _kill_session(self) -> None:
        """Kill every process of the worker's session: an inference engine's children may be in groups of their own."""
        deadline = time.monotonic() + 5
        while (left := session_members(self._process.pid)) and time.monotonic() < deadline:
            kill(left, signal.SIGKILL)
            self._process.poll()  # a zombie of ours stays a member until it is waited for
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def release(self) -> None:
        self._kill_session()


class LocalRunner:
    """Starts workers with ``python``, which looks for modules in ``paths`` first."""

    def __init__(self, python: str | None = None, paths: Sequence[str] = ()) -> None:
        self._python = python or sys.executable
        self._paths = paths

    def preflight(self, launch: Launch) -> None:
        """Nothing can be checked more cheaply than by starting."""

    def start(self, launch: Launch) -> LocalWorker:
        environment = {**os.environ, CONFIG_VARIABLE: str(launch.job)}
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(launch.gpu_uuids)
        environment["PYTHONPATH"] = os.pathsep.join(_import_path(self._paths))
        environment["PYTHONUNBUFFERED"] = "1"
        try:
            with launch.log.open("ab") as log:
                process = subprocess.Popen(
                    [self._python, "-m", "pytest_llem.runners.worker"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=launch.exchange,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise RunnerError(f"the worker process could not be started: {error}") from error
        return LocalWorker(process)

    def origin(self, backend: str) -> Mapping[str, str]:
        return {}

    def describe(self) -> Mapping[str, str]:
        return {"runner": "local"}


def _import_path(first: Sequence[str]) -> list[str]:
    """PYTHONPATH for the worker: it must find this very copy of the package, from another working directory."""
    inherited = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    own = str(Path(__file__).resolve().parents[2])
    installed = own in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    ours = [] if installed else [own]
    return list(dict.fromkeys([*ours, *first, *inherited]))


def describe_exit(code: int) -> str:
    """What an exit status means, in words."""
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        memory = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{memory}"
    return f"killed by signal {-code}"
