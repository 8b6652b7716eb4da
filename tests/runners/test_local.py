"""Processes of the local runner: how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_llem.processes import session_members
from pytest_llem.runners.local import LocalWorker, describe_exit

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import os, time; os.setpgid(0, 0); time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""


def start(code: str) -> tuple[LocalWorker, subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    return LocalWorker(process), process


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-signal.SIGKILL, "killed by SIGKILL; perhaps the machine ran out of memory"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-250, "killed by signal 250"),
    ],
)
def test_an_exit_status_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_how_a_worker_ended(tmp_path: Path) -> None:
    worker, process = start("raise SystemExit(3)")
    process.wait(10)
    assert worker.ended() == "exit status 3"
    worker.stop(1)
    worker.release()


def test_a_worker_that_ignores_sigterm_is_killed_with_its_children() -> None:
    worker, process = start(STUBBORN)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert worker.ended() is None
    deadline = time.monotonic() + 5
    while len(session_members(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    begin = time.monotonic()
    worker.stop(0.2)
    assert time.monotonic() - begin < 3
    assert session_members(process.pid) == []
    assert worker.ended() is not None
    worker.release()
    process.stdout.close()


def test_our_own_session_is_none_of_its() -> None:
    worker, process = start("import time; time.sleep(60)")
    worker.stop(1)
    assert process.returncode == -signal.SIGTERM
    assert os.getpid() in session_members(os.getsid(0))
    assert process.stdout is not None
    process.stdout.close()
