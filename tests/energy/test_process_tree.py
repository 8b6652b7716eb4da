"""CPU time of process trees, on real processes that come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pytest_llem.energy.process_tree import ProcessTree, read_stat

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"


def python(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def until(condition: Callable[[], bool], limit_s: float = 8.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_name_with_spaces_and_brackets_does_not_confuse_the_fields() -> None:
    process = python("open('/proc/self/comm', 'w').write('a) R 1 (b'); print(1, flush=True); input()")
    assert process.stdout is not None
    process.stdout.readline()
    stat = read_stat(process.pid)
    process.communicate(b"\n")
    assert stat is not None
    assert stat.parent == os.getpid()
    assert read_stat(process.pid) is None


def test_grandchildren_that_ended_unseen_are_counted() -> None:
    """Their parent waited for them, so its own figures hold their time."""
    burn = BURN.format(seconds=0.2)
    process = python(
        f"import subprocess, sys\ninput()\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
        "print(1, flush=True)\ninput()"
    )
    tree = ProcessTree()
    tree.follow(process.pid)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    assert 0.19 <= tree.cpu_s() < 0.6
    process.communicate(b"\n")


def test_a_living_grandchild_is_counted_and_nothing_is_lost_when_it_ends() -> None:
    burn = BURN.format(seconds=0.3)
    process = python(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(1, flush=True)\ninput()"
    )
    tree = ProcessTree()
    tree.follow(process.pid)
    seen = [tree.cpu_s()]
    assert process.stdout is not None

    def burnt() -> bool:
        seen.append(tree.cpu_s())
        return seen[-1] > 0.28

    until(burnt)
    process.stdout.readline()
    seen.append(tree.cpu_s())
    process.communicate(b"\n")
    seen.append(tree.cpu_s())
    assert seen == sorted(seen)
    assert 0.28 < seen[-1] < 0.6  # counted once, not once alive and once more as ended


def test_an_orphan_is_followed_and_counted_after_its_end() -> None:
    """A child that outlives its parent belongs to nobody's figures any more; the tree keeps it."""
    burn = BURN.format(seconds=0.3)
    process = python(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {burn!r}])\ninput()")
    tree = ProcessTree()
    tree.follow(process.pid)
    until(lambda: tree.cpu_s() > 0.05)
    assert process.stdin is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: tree.cpu_s() > 0.28)
    time.sleep(0.1)
    assert tree.cpu_s() < 0.6
    process.stdin.close()


def test_following_another_process_goes_on_counting() -> None:
    first, second = python(BURN.format(seconds=0.1) + "input()"), python(BURN.format(seconds=0.1) + "input()")
    tree = ProcessTree()
    tree.follow(first.pid)
    until(lambda: tree.cpu_s() >= 0.08)
    before = tree.cpu_s()
    tree.follow(second.pid)
    assert tree.cpu_s() >= before
    for process in (first, second):
        process.communicate(b"\n")


def test_a_process_that_never_was_counts_nothing() -> None:
    process = python("")
    process.communicate()
    tree = ProcessTree()
    tree.follow(process.pid)
    assert tree.cpu_s() == pytest.approx(0)
    assert tree.resident_bytes() == 0
