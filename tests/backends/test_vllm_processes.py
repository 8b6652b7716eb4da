"""Processes found below this one and ended, and their output listened to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_llem.backends.vllm.log import LogTail
from pytest_llem.backends.vllm.processes import descendants, end_all, peak_resident_bytes

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(flush=True); {SLEEP}"

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
    assert {process.pid, *below} <= set(descendants(os.getpid()))
    assert peak_resident_bytes([process.pid, *below]) > peak_resident_bytes(below) > 2**20
    assert end_all([*below], grace_s=2.0) == below
    assert descendants(process.pid) == ()


def test_one_that_ends_by_itself_is_not_forced(started: Started) -> None:
    process = start(started, "pass")
    assert end_all([process.pid], grace_s=5.0) == ()


def test_one_that_ignores_sigterm_is_killed(started: Started) -> None:
    process = start(started, STUBBORN, wait=True)
    begin = time.monotonic()
    assert end_all([process.pid], grace_s=0.2) == (process.pid,)
    assert time.monotonic() - begin < 2.0
    assert process.wait(timeout=2) == -9


def test_what_children_print_is_passed_on_and_kept(capfd: pytest.CaptureFixture[str], started: Started) -> None:
    tail = LogTail()
    with tail.listening():
        process = start(started, "import sys; print('out'); print('half\\nerr', file=sys.stderr)")
    print("mine")
    process.wait()
    lines = tail.lines(wait_s=2.0)
    assert sorted(line for line in lines if line) == ["err", "half", "out"]
    told = capfd.readouterr()
    assert told.out == "mine\n"
    assert sorted(told.err.split()) == ["err", "half", "out"]


def test_a_child_that_goes_on_is_still_heard(started: Started) -> None:
    tail = LogTail()
    with tail.listening():
        process = start(started, "import time; time.sleep(0.3); print('late')")
    assert tail.lines(wait_s=0) == [""]
    process.wait()
    assert tail.lines(wait_s=2.0)[0] == "late"


def test_a_forked_child_does_not_wait_for_a_reader_that_is_itself() -> None:
    """It must get an error, not block, when it writes more than the pipe holds and its parent has gone."""
    before = _pipes_read()
    tail = LogTail()
    with tail.listening():
        ((reading, pipe),) = _pipes_read() - before
        child = os.fork()
        if child == 0:
            os._exit(1 if (reading, pipe) in _pipes_read() else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _pipes_read() -> set[tuple[str, str]]:
    """File descriptors of this process that read from pipes, and which."""
    found = set()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            flags = next(
                line for line in Path(f"/proc/self/fdinfo/{entry.name}").read_text().splitlines() if "flags" in line
            )
            target = str(entry.readlink())
            if target.startswith("pipe:") and int(flags.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY:
                found.add((entry.name, target))
    return found
