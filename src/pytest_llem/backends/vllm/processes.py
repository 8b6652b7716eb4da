"""What vLLM starts: its processes are found, their end is noticed and explained, and none outlives its engine.

vLLM's offline engine (0.26 to 0.30) notices the death of one of its processes and closes its sockets, but puts nothing
into the queue that ``step`` waits on: whoever waits there would wait for ever, and is woken here.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import InvalidStateError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_llem.backends.vllm.log import ErrorLog
from pytest_llem.backends.vllm.reasons import hint, reason
from pytest_llem.errors import BackendError, LlemError
from pytest_llem.processes import descendants, kill, started_at, status_bytes

GRACE_S = 5.0  # for processes to end, before and after each signal
_LOOK_S = 0.5
_POLL_S = 0.02


class EngineGoneError(RuntimeError):
    """The engine's process ended while somebody waited for it; the log may hold its stack trace."""


class EngineProcesses:
    """The processes that are started from when it is made."""

    def __init__(self) -> None:
        self.log = ErrorLog()
        self._before = _below()
        self._seen: dict[int, int | None] = {}  # process id -> start: a worker whose parent died is nobody's child
        self._client: Any = None  # vLLM's ``engine_core``, the side of the engine that is in this process
        self._handles: Sequence[Any] = ()
        self._may_end = threading.Event()

    def watch(self, llm: Any) -> None:
        """From now on, wake whoever waits for the engine when one of its own processes ends."""
        self._client = llm.llm_engine.engine_core
        manager = getattr(getattr(self._client, "resources", None), "engine_manager", None)
        self._handles = tuple(getattr(manager, "processes", ()))
        if self._handles:
            threading.Thread(target=self._look, daemon=True).start()
        self.pids()

    def pids(self) -> tuple[int, ...]:
        """Ids of all that live; empty where the engine runs in this process."""
        for pid in _below() - self._before:
            self._seen.setdefault(pid, started_at(pid))
        self._seen = {pid: start for pid, start in self._seen.items() if start and started_at(pid) == start}
        return tuple(sorted(self._seen))

    def end(self, grace_s: float = GRACE_S) -> None:
        """End them."""
        end_all(self.pids(), grace_s)

    def let_go(self) -> None:
        """From now on they may end."""
        self._may_end.set()

    @contextmanager
    def refusals(self, doing: str) -> Iterator[None]:
        """Whatever goes wrong inside becomes one BackendError with vLLM's own reason."""
        try:
            yield
        except LlemError:
            raise
        except Exception as error:
            why = reason(error, self.log.errors(), self._exits())
            raise BackendError(f"{doing}: {why}", hint=hint(why)) from error

    def _exits(self) -> list[tuple[int | None, int | None]]:
        return [(handle.pid, handle.exitcode) for handle in self._handles]

    def _look(self) -> None:
        while not self._may_end.wait(_LOOK_S):
            if any(status is not None for _, status in self._exits()):
                error = EngineGoneError("no answer from the engine: see its stack trace")
                self._client.outputs_queue.put_nowait(error)  # what `step` gets
                for waiting in list(self._client.utility_results.values()):  # what remote calls get
                    with suppress(InvalidStateError):
                        waiting.set_exception(error)


def end_all(pids: Iterable[int], grace_s: float) -> tuple[int, ...]:
    """Wait for processes to end, then SIGTERM, then SIGKILL, ``grace_s`` each; returns those that needed force."""
    left = forced = _wait(tuple(pids), grace_s)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if left:
            kill(left, number)
            left = _wait(left, grace_s)
    return forced


def peak_resident_bytes(pids: Iterable[int]) -> int:
    """Largest resident memory that each process ever had (VmHWM), summed."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += status_bytes(pid, "VmHWM")
    return total


def _wait(pids: tuple[int, ...], seconds: float) -> tuple[int, ...]:
    end = time.monotonic() + seconds
    while (pids := tuple(pid for pid in pids if started_at(pid) is not None)) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return pids


def _below() -> set[int]:
    """All processes below this one, Python's own resource tracker apart: it ends with its parent."""
    return {pid for pid in descendants(os.getpid()) if not _is_tracker(pid)}


def _is_tracker(pid: int) -> bool:
    try:
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
