"""The conversation of one experiment: leads a worker through loading, warm-up and windows, and tells the recorder when.

It is the same for every runner. Everything that can go wrong with a worker ends here as one of the RunnerErrors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pytest_llem.energy.record_format import Pace
from pytest_llem.errors import Cancelled, ExperimentFailed, RunnerError, WorkerCrashed, WorkerTimeout
from pytest_llem.runners import job
from pytest_llem.runners.base import Launch, Runner, Worker
from pytest_llem.runners.channel import Channel
from pytest_llem.runners.job import WorkerJob, WorkerResult
from pytest_llem.runners.messages import PROTOCOL_VERSION, Message
from pytest_llem.runners.progress import Listener, Progress
from pytest_llem.study.study import Cell

CONNECT_LIMIT_S = 120.0  # importing a large library from a cold disk takes a while
LOG_TAIL_LINES = 15
_TICK_S = 0.1


class Watcher(Protocol):
    """The part of a recorder that the conversation needs."""

    def pace(self, pace: Pace) -> None: ...
    def follow(self, pid: int) -> None: ...


@dataclass(frozen=True)
class Limits:
    """When a worker is given up. Seconds."""

    experiment_s: float
    silence_s: float  # 0: never for silence
    cancelled: Callable[[], bool] = lambda: False  # asked again and again


class WorkerSession:
    """One worker from start to end. It runs one experiment, or several that share its loaded engine."""

    def __init__(self, runner: Runner, launch: Launch, watcher: Watcher) -> None:
        self._runner = runner
        self._watcher = watcher
        self._launch = launch
        self._channel = Channel(launch.exchange)
        self._worker: Worker | None = None
        self._jobs = 0
        self._idle_since = 0.0  # when the recorder was told that the last window is over
        self._listening = False  # it has nothing to do but to wait for orders, or to end by itself
        self.usable = True  # False after a failure: never reused

    @property
    def pid(self) -> int | None:
        """Root of the worker's process tree."""
        return self._worker.pid if self._worker else None

    def run(self, cell: Cell, bracket_s: float, limits: Limits, say: Listener) -> WorkerResult:
        """Lead the worker through one experiment, with ``bracket_s`` of idle time on both sides of each window.

        Raises a RunnerError with the end of the worker's log."""
        self._jobs += 1
        self._listening = False
        path = self._launch.exchange / f"job-{self._jobs}.json"
        result = f"result-{self._jobs}.json"
        try:
            job.write(path, WorkerJob(experiment=cell.config, result=result, base_folder=self._launch.base_folder))
            if self._worker is None:
                say(Progress(cell.id, "starting"))
                self._worker = self._runner.start(self._launch)
                if self._worker.pid is not None:
                    self._watcher.follow(self._worker.pid)
            else:
                self._channel.send("experiment", job=path.name)
            self._converse(cell, bracket_s, limits, say)
            return job.read(self._launch.exchange / result, WorkerResult)
        except BaseException:
            self.usable = False
            raise

    def _converse(self, cell: Cell, bracket_s: float, limits: Limits, say: Listener) -> None:
        deadline = time.monotonic() + limits.experiment_s
        self._channel.last_heard = time.monotonic()
        window_s = 0.0  # in a window the worker says nothing
        while True:
            message = self._next(deadline, limits, window_s)
            window_s = cell.config.measure.min_window_s if message["type"] == "ready" else 0.0
            match message["type"]:
                case "hello":
                    _check_protocol(message)
                case "phase" | "progress":
                    text, done, total = str(message.get("text", "")), _int(message, "done"), _int(message, "total")
                    say(Progress(cell.id, str(message.get("phase", "")), text, done, total))
                case "loaded":
                    say(Progress(cell.id, "loaded"))
                    self._channel.send("go")
                case "ready":
                    say(Progress(cell.id, "window", "", _int(message, "window"), cell.config.measure.repeats))
                    self._watcher.pace("dense")  # the idle time before a window also closes the one before it
                    time.sleep(bracket_s)
                    self._watcher.pace("quiet")
                    self._channel.send("go")
                case "window":
                    self._watcher.pace("dense")
                    self._idle_since = time.monotonic()
                case "result":
                    self._listening = True
                    say(Progress(cell.id, "finishing"))
                    time.sleep(max(0.0, self._idle_since + bracket_s - time.monotonic()))
                    self._watcher.pace("slow")
                    return
                case "error":
                    self._listening = True
                    hint = message.get("hint")
                    raise ExperimentFailed(
                        str(message.get("message")),
                        error_type=str(message.get("error_type", "Error")),
                        hint=None if hint is None else str(hint),
                    )
                case other:
                    raise RunnerError(f"the worker sent an unknown message {other!r}")

    def _next(self, deadline: float, limits: Limits, window_s: float) -> Message:
        """The next message; raises when the worker ends, hangs or is silent."""
        while True:
            if limits.cancelled():
                raise Cancelled("the experiment was cancelled")
            if time.monotonic() > deadline:
                raise WorkerTimeout(
                    f"the experiment took more than {limits.experiment_s:g} s{self.log_tail()}",
                    hint="raise execution.timeout_s in the study, or --llem-timeout",
                )
            try:
                message = self._channel.receive(_TICK_S)
            except EOFError:
                raise self._crashed() from None
            if message is not None:
                return message
            silent_s = time.monotonic() - self._channel.last_heard
            if not self._channel.connected:
                if self._worker is not None and self._worker.ended() is not None:
                    raise self._crashed()
                if silent_s > CONNECT_LIMIT_S:
                    raise WorkerTimeout(f"the worker did not call within {CONNECT_LIMIT_S:g} s{self.log_tail()}")
            elif limits.silence_s and silent_s > limits.silence_s + window_s:
                raise WorkerTimeout(
                    f"the worker said nothing for {limits.silence_s:g} s{self.log_tail()}",
                    hint="execution.silence_timeout_s sets how long it may be silent; 0 is for ever",
                )

    def _crashed(self) -> WorkerCrashed:
        how = self._await_end(5.0) or "it closed its connection"
        return WorkerCrashed(f"the worker ended without a result: {how}{self.log_tail()}")

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of the worker's log, to be put below a message; empty where there are none."""
        try:
            text = self._launch.log.read_bytes()[-20_000:].decode(errors="replace")
        except OSError:
            return ""
        tail = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
        return "\n  last lines of the worker's log:\n" + "\n".join(f"  | {line[:300]}" for line in tail) if tail else ""

    def close(self, grace_s: float = 5.0) -> None:
        """End the worker, whatever state it is in; nothing of it is left but its log."""
        self.usable = False
        try:
            self._channel.send("close")
            if self._worker is not None:
                if self._listening:
                    self._await_end(grace_s)
                self._worker.stop(grace_s)
        finally:
            try:
                if self._worker is not None:
                    self._worker.stop(0)
                    self._worker.release()
            finally:
                self._channel.close()

    def _await_end(self, limit_s: float) -> str | None:
        """How the worker ended, if it does so in time."""
        assert self._worker is not None
        deadline = time.monotonic() + limit_s
        while (ended := self._worker.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return ended


def _check_protocol(message: Message) -> None:
    if message.get("protocol") != PROTOCOL_VERSION:
        raise RunnerError(
            f"the worker speaks protocol {message.get('protocol')}, this pytest-llem speaks {PROTOCOL_VERSION}",
            hint="use an image of the same pytest-llem version, or rebuild it",
        )


def _int(message: Message, key: str) -> int:
    value = message.get(key, 0)
    return int(value) if isinstance(value, int | float) else 0
