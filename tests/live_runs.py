"""A pytest run that goes on while a test looks at it, interrupts it or kills it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Studies


class LiveRun:
    """pytest in a session of its own; its folder for temporary files marks all processes that it ever started."""

    def __init__(self, studies: Studies, *arguments: str) -> None:
        self.studies = studies
        self.temporary = studies.pytester.path / "t"
        self.temporary.mkdir(exist_ok=True)
        self.output = studies.pytester.path / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *studies.arguments(*arguments), "-p", "no:cacheprovider"],
                cwd=studies.pytester.path,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # a process that was started in the background may have inherited SIGINT as ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def until(self, what: Callable[[], Any], limit_s: float = 60) -> None:
        """Wait for a condition, as long as the run lives."""
        deadline = time.monotonic() + limit_s
        while not what():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def statuses(self) -> list[str]:
        """Of the cells of the only run; nothing before there is one."""
        return list(self.studies.statuses().values()) if self.studies.runs() else []

    def send(self, number: signal.Signals) -> None:
        """As a terminal does: to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self, limit_s: float = 60) -> int:
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            raise AssertionError(f"pytest does not end: {self.said()}") from None

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def processes(self) -> dict[int, str]:
        """Every living process of this run but pytest itself: pid and command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (os.getpid(), self.process.pid):
                with contextlib.suppress(OSError):
                    if f"TMPDIR={self.temporary}".encode() in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def workers(self) -> list[int]:
        """The workers that live."""
        return [pid for pid, command in self.processes().items() if "pytest_llem.runners.worker" in command]

    def nothing_left(self, limit_s: float = 10) -> bool:
        """Whether all its processes end soon."""
        deadline = time.monotonic() + limit_s
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.processes()

    def folders_left(self) -> list[str]:
        """Temporary folders of stations."""
        return [path.name for path in self.temporary.glob("llem-[0-9]*")]


def manifest_parses(folder: Path) -> bool:
    return isinstance(json.loads((folder / "manifest.json").read_text())["cells"], list)
