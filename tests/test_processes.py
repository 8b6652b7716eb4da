"""Processes as /proc tells them: whose they are, and whether one is still the same."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_llem.processes import (
    descendants,
    family,
    look_up,
    session_members,
    started_at,
    status_bytes,
    temporary_prefix,
)
from pytest_llem.runners.station import sweep_dead_stations


def test_a_family_has_children_in_sessions_of_their_own() -> None:
    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert family(parent.pid) == {parent.pid, child}
        assert os.getpid() not in family(parent.pid)
    finally:
        for pid in family(parent.pid):
            os.kill(pid, 9)
        parent.wait()


def test_this_process() -> None:
    found = look_up(os.getpid())
    assert found is not None
    assert (found.pid, found.parent, found.session) == (os.getpid(), os.getppid(), os.getsid(0))
    assert os.getpid() in session_members(os.getsid(0))
    assert os.getpid() in descendants(os.getppid())
    assert started_at(os.getpid()) == found.started


def test_one_that_has_ended_is_gone_even_before_it_is_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert started_at(process.pid) is None
    process.wait()
    process.stdout.close()
    assert started_at(2**22 + 1) is None


def test_figures_of_its_status() -> None:
    assert status_bytes("self", "VmHWM") >= status_bytes(os.getpid(), "VmRSS") > 2**20
    with pytest.raises(OSError, match="has no VmNothing"):
        status_bytes("self", "VmNothing")


def test_only_what_a_surely_dead_process_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from pytest_llem.processes import temporary_prefix; print(temporary_prefix(), end='')"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    pid, start, namespace, boot, _ = dead.split("_")
    own_pid, own_start, *_ = temporary_prefix().split("_")
    left = [dead, f"{own_pid}_{int(own_start) - 1}_{namespace}_{boot}_"]  # the second's pid is now another's
    kept = [
        temporary_prefix(),
        f"{pid}_{start}_1_{boot}_",  # of a container whose pids are not seen here
        f"{pid}_{start}_{namespace}_00000000_",  # of another host, on a disk that both share
        f"{pid}-",
        "llem-12_and_some_other_tool_s",
    ]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for prefix in (*left, *kept):
        (tmp_path / f"{prefix}x" / "samples").mkdir(parents=True)
    sweep_dead_stations()
    assert {path.name for path in tmp_path.iterdir()} == {f"{prefix}x" for prefix in kept}
