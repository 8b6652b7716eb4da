"""Every way in which a worker can end, met by the conductor; real worker programs, the backend that answers at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_llem.errors import ExperimentFailed, RunnerError, WorkerCrashed, WorkerTimeout
from pytest_llem.processes import session_members
from pytest_llem.runners.base import Launch
from pytest_llem.runners.conductor import Limits, WorkerSession
from pytest_llem.runners.local import LocalRunner, LocalWorker
from pytest_llem.runners.progress import Progress
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.study import Cell

PATIENT = Limits(experiment_s=60, silence_s=60)


class Watcher:
    """A recorder that only remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str | int] = []

    def pace(self, pace: str) -> None:
        self.told.append(pace)

    def follow(self, pid: int) -> None:
        self.told.append(pid)


def cell(behaviour: str | None = None, **fields: object) -> Cell:
    study = {
        "llem": 1,
        "model": "none",
        "backend": "instant",
        "instant": {} if behaviour is None else {"behaviour": behaviour},
        "measure": {"warmup": 0, "repeats": 2, "min_window_s": 0.01},
        **fields,
    }
    return study_from_mapping(study, name="conducted").cells[0]


Start = Callable[[], WorkerSession]


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def start(tmp_path: Path, instant: Path, watcher: Watcher) -> Iterator[Start]:
    started: list[WorkerSession] = []

    def make() -> WorkerSession:
        exchange = tmp_path / f"x{len(started)}"
        exchange.mkdir()
        launch = Launch(exchange, tmp_path / "worker.log", "run", "cell", "instant")
        started.append(WorkerSession(LocalRunner(), launch, watcher))
        return started[-1]

    yield make
    for session in started:
        session.close(0)


def run(session: WorkerSession, cell: Cell, limits: Limits = PATIENT) -> list[Progress]:
    heard: list[Progress] = []
    session.run(cell, 0.0, limits, heard.append)
    return heard


def nothing_left(session: WorkerSession) -> bool:
    assert session.pid is not None
    return session_members(session.pid) == []


def test_an_experiment_goes_through_its_phases(start: Start, watcher: Watcher) -> None:
    session = start()
    phases = [step.phase for step in run(session, cell())]
    assert phases == ["starting", "loading", "loaded", "warmup", "window", "window", "finishing"]
    window = ["dense", "quiet", "dense"]
    assert watcher.told == [session.pid, *window, *window, "slow"]
    assert session.usable
    session.close()
    assert nothing_left(session)


def test_one_worker_serves_a_second_experiment(start: Start) -> None:
    session = start()
    run(session, cell())
    first = session.pid
    assert "starting" not in [step.phase for step in run(session, cell(max_output_tokens=3))]
    assert session.pid == first


def test_an_error_of_the_worker_keeps_its_name_and_hint(start: Start) -> None:
    session = start()
    with pytest.raises(ExperimentFailed, match="told to fail") as error:
        run(session, cell("fail"))
    assert error.value.error_type == "BackendError"
    assert error.value.hint == "take the option away"
    assert not session.usable
    session.close()
    assert nothing_left(session)


def test_the_line_is_closed_though_the_worker_cannot_be_released(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(worker: LocalWorker) -> None:
        raise RunnerError("container llem-x could not be removed")

    session = start()
    run(session, cell())
    with monkeypatch.context() as patched:
        patched.setattr(LocalWorker, "release", refuse)
        with pytest.raises(RunnerError, match="could not be removed"):
            session.close()
    assert not session._channel.path.exists()


def test_a_killed_worker_is_told_with_its_signal(start: Start) -> None:
    session = start()
    with pytest.raises(WorkerCrashed, match=r"without a result: killed by SIGKILL; perhaps .* memory"):
        run(session, cell("kill"))
    session.close()
    assert nothing_left(session)


def test_a_worker_killed_from_outside_while_it_hangs(start: Start) -> None:
    session = start()

    def kill(step: Progress) -> None:
        if step.phase == "window":
            assert session.pid is not None
            threading.Timer(0.2, os.kill, (session.pid, signal.SIGKILL)).start()

    with pytest.raises(WorkerCrashed, match="killed by SIGKILL"):
        session.run(cell("hang"), 0.0, PATIENT, kill)


def test_a_hung_worker_is_given_up_at_the_time_limit(start: Start) -> None:
    session = start()
    begin = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"took more than 1\.5 s") as error:
        run(session, cell("hang"), Limits(experiment_s=1.5, silence_s=60))
    assert "--llem-timeout" in str(error.value)
    session.close()
    assert time.monotonic() - begin < 5
    assert nothing_left(session)


def test_a_silent_worker_is_given_up_sooner(start: Start) -> None:
    session = start()
    with pytest.raises(WorkerTimeout, match="said nothing for 1 s"):
        run(session, cell("hang"), Limits(experiment_s=60, silence_s=1))


def test_a_window_may_be_longer_than_the_silence(start: Start) -> None:
    long = {"warmup": 0, "repeats": 1, "min_window_s": 1.5}
    assert run(start(), cell(measure=long), Limits(experiment_s=60, silence_s=1.0))[-1].phase == "finishing"


def test_silence_of_zero_waits_for_ever(start: Start) -> None:
    session = start()
    with pytest.raises(WorkerTimeout, match="took more than 2 s"):
        run(session, cell("hang"), Limits(experiment_s=2, silence_s=0))


def test_much_talk_goes_to_the_log_and_harms_nothing(start: Start, tmp_path: Path) -> None:
    session = start()
    run(session, cell("chatty"))
    session.close()
    assert "the end of much talk" in (tmp_path / "worker.log").read_text()
    assert "the end of much talk" in session.log_tail(3)


def test_a_crash_after_the_result_harms_nothing(start: Start) -> None:
    session = start()
    run(session, cell("crash_on_close"))
    session.close()
    assert nothing_left(session)


def test_a_worker_of_another_protocol_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_llem.runners.conductor.PROTOCOL_VERSION", 99)
    with pytest.raises(RunnerError, match="the worker speaks protocol 1, this pytest-llem speaks 99"):
        run(start(), cell())


def test_a_program_that_never_calls_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    deaf.write_text("#!/bin/sh\necho I am here; sleep 60\n")
    deaf.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(deaf))
    monkeypatch.setattr("pytest_llem.runners.conductor.CONNECT_LIMIT_S", 0.5)
    session = start()
    with pytest.raises(WorkerTimeout, match=r"did not call within 0\.5 s(?s:.*)I am here"):
        run(session, cell(), Limits(experiment_s=60, silence_s=0.1))  # which counts from the call
    session.close(0)
    assert nothing_left(session)


def test_a_program_that_cannot_start_shows_the_last_lines_of_its_log(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(WorkerCrashed, match="exit status 1"):
        run(start(), cell())
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(RunnerError, match="could not be started"):
        run(start(), cell())
