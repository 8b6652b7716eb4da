"""One holder for each device, whatever happens to the holder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from pytest_llem.errors import LlemError, RunnerError
from pytest_llem.runners.locks import default_lock_dir, hold

spawn = multiprocessing.get_context("spawn")


def _hold(folder: str, names: list[str], count: int, held: Event, seconds: float) -> None:
    with hold(names, count, Path(folder)):
        held.set()
        time.sleep(seconds)


def start(folder: Path, names: list[str], count: int = 1, seconds: float = 30.0):
    held = spawn.Event()
    process = spawn.Process(target=_hold, args=(str(folder), names, count, held, seconds))
    process.start()
    assert held.wait(20)
    return process


def test_a_held_device_is_passed_over_and_an_only_one_is_waited_for(tmp_path):
    process = start(tmp_path, ["gpu-a"], seconds=1.0)
    with hold(["gpu-a", "gpu-b"], 1, tmp_path) as (held, waited):
        assert held == ("gpu-b",)
        assert waited < 0.5
    waits: list[float] = []
    with hold(["gpu-a"], 1, tmp_path, lambda: waits.append(1.0)) as (held, waited):
        assert held == ("gpu-a",)
    assert waits
    process.join()


def test_a_killed_holder_frees_its_device(tmp_path):
    process = start(tmp_path, ["gpu-a"])
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with hold(["gpu-a"], 1, tmp_path) as (_, waited):
        assert waited < 5


def test_two_that_need_both_devices_do_not_block_each_other(tmp_path):
    processes = [start(tmp_path, names, 2, 0.2) for names in (["a", "b"], ["b", "a"])]
    for process in processes:
        process.join(20)
        assert process.exitcode == 0


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "locks"
    with (
        pytest.raises(RunnerError, match=r"file/locks: no lock .* Not a(?s:.*)--llem-lock-dir"),
        hold(["a"], 1, folder),
    ):
        pass


def test_more_devices_than_there_are_is_an_error(tmp_path):
    with pytest.raises(RunnerError, match="needs 2 devices, 1 can be used"), hold(["a"], 2, tmp_path):
        pass


def test_a_thread_never_waits_for_itself(tmp_path):
    with hold(["a", "b"], 1, tmp_path) as (first, _):
        with hold(["a", "b"], 1, tmp_path) as (second, _):
            assert (first, second) == (("a",), ("b",))
        with (
            pytest.raises(LlemError, match="this test holds the device already: a"),
            hold(["a", "b"], 2, tmp_path),
        ):
            pass
    with hold(["a", "b"], 2, tmp_path) as (both, _):
        assert both == ("a", "b")


def test_what_is_lent_is_used_by_one_at_a_time(tmp_path):
    with hold(["a", "b"], 1, tmp_path, lend=True) as (outer, _):
        for _ in range(2):
            with hold(["b", "a"], 1, tmp_path) as (inner, _):
                assert inner == outer == ("a",)
                with pytest.raises(LlemError, match="already: a"), hold(["a"], 1, tmp_path):
                    pass
        with pytest.raises(LlemError, match="2 devices are needed, this test has taken 1"), hold("ab", 2, tmp_path):
            pass


def test_another_thread_waits_for_its_turn(tmp_path):
    order: list[str] = []

    def second() -> None:
        with hold(["a"], 1, tmp_path, lambda: order.append("waits")):
            order.append("second")

    thread = threading.Thread(target=second)
    with hold(["a"], 1, tmp_path, lend=True):
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(20)
    assert [step for step in order if step != "waits"] == ["first", "second"]


def test_jobs_with_temporary_folders_of_their_own_share_their_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert default_lock_dir() == Path("/tmp/pytest-llem-locks")


def test_where_nobody_may_write_to_tmp_the_temporary_folder_has_the_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert default_lock_dir() == tmp_path / "pytest-llem-locks"
