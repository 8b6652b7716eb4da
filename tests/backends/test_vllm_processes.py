"""Processes found below this one and ended for certain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pytest_llem.backends.vllm.processes import end_all, peak_resident_bytes
from pytest_llem.processes import descendants

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
READY = f"print(flush=True); {SLEEP}"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {READY!r}]); {SLEEP}"  # the child tells

Started = list[subprocess.Popen[str]]


@pytest.fixture
def started() -> Iterator[Started]:
    processes: Started = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(started: Started, code: str, *, wait: bool = False) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE if wait else None, text=True)
    started.append(process)
    if process.stdout is not None:
        process.stdout.readline()  # it is ready
    return process


def test_children_and_theirs_are_found(started: Started) -> None:
    process = start(started, WITH_CHILD, wait=True)
    below = descendants(process.pid)
    assert len(below) == 1
    assert {process.pid, *below} <= descendants(os.getpid())
    assert peak_resident_bytes([process.pid, *below]) > peak_resident_bytes(below) > 2**20
    assert end_all(below, grace_s=2.0) == tuple(below)
    assert descendants(process.pid) == set()


def test_one_that_ends_by_itself_is_not_forced(started: Started) -> None:
    process = start(started, "pass")
    assert end_all([process.pid], grace_s=5.0) == ()


def test_one_that_ignores_sigterm_is_killed(started: Started) -> None:
    process = start(started, STUBBORN, wait=True)
    begin = time.monotonic()
    assert end_all([process.pid], grace_s=0.2) == (process.pid,)
    assert time.monotonic() - begin < 2.0
    assert process.wait(timeout=2) == -9
