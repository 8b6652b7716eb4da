"""A worker in a container: how it is followed, how it ended, and how it is made to end.

A thread of its own follows the container, because the engine may take its time, or be stopped and started again while
the container, its connection to the host and its result live on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import RunnerError
from pytest_llem.processes import kill, started_at
from pytest_llem.runners.docker.client import explain, failures
from pytest_llem.runners.docker.sweep import remove
from pytest_llem.runners.local import describe_exit

if TYPE_CHECKING:
    from docker import DockerClient

RESTART_WAIT_S = 20.0  # how long an engine that went away is waited for when its container must be removed
VERDICT_WAIT_S = 3.0  # and how long when only the way in which the container ended is not known
NOT_FOUND = 127  # exit status of tini, as of a shell
_RETRY_S = 0.1
HALF_BYTES = 4 << 20  # of a log, at its beginning and at its end


class BoundedLog:
    """Appends to a file up to a limit; of what comes after, the last part is added on closing.

    A disk that is full costs the log, not the experiment.
    """

    def __init__(self, path: Path, half_bytes: int = HALF_BYTES) -> None:
        self._path = path
        self._half = half_bytes
        self._room = half_bytes
        self._tail = bytearray()
        self._dropped = 0

    def write(self, chunk: bytes) -> None:
        """Take what the worker has printed."""
        self._append(chunk[: self._room])
        self._tail += chunk[self._room :]
        self._room = max(0, self._room - len(chunk))
        if len(self._tail) > 2 * self._half:
            self._shorten()

    def close(self) -> None:
        """Add the end."""
        self._shorten()
        if self._dropped:
            self._append(f"\n[{self._dropped} bytes left out]\n".encode())
        self._append(bytes(self._tail))
        self._tail.clear()

    def _shorten(self) -> None:
        more = max(0, len(self._tail) - self._half)
        del self._tail[:more]
        self._dropped += more

    def _append(self, chunk: bytes) -> None:
        if chunk:
            with suppress(OSError), self._path.open("ab") as file:
                file.write(chunk)


class DockerWorker:
    """A started container. ``pid`` is its first process as this host sees it, ``output`` what it prints.

    The output comes by attachment: the engine's log file would be rotated under whoever follows it.
    """

    def __init__(
        self,
        client: DockerClient,
        name: str,
        pid: int,
        output: Iterator[bytes],
        log: BoundedLog,
        give_back: Callable[[], None],
    ) -> None:
        self.name = name
        self.pid: int | None = pid
        self._client = client
        self._started = started_at(pid)
        self._output = output
        self._log = log
        self._give_back = give_back
        self._ended: str | None = None
        self._over = threading.Event()
        self._engine_lost = False
        self._dead_since = 0.0
        self._released = False
        threading.Thread(target=self._follow, name=name, daemon=True).start()

    def ended(self) -> str | None:
        return self._ended

    def wait(self, limit_s: float) -> bool:
        """Wait until it has ended; False if it has not by then."""
        return self._over.wait(limit_s)

    def stop(self, grace_s: float) -> None:
        try:
            if grace_s > 0 and not self._over.is_set():
                self._signal(signal.SIGTERM)
                self._over.wait(grace_s)
        finally:
            if not self._over.is_set():
                self._signal(signal.SIGKILL)
                self._over.wait(RESTART_WAIT_S)

    def release(self) -> None:
        if self._released:
            return
        try:
            self.stop(0)
        finally:
            self._remove()
            self._give_back()
            self._released = True

    def _signal(self, number: signal.Signals) -> None:
        """By way of the engine; by the kernel's where the engine is away or the container is already going."""
        try:
            self._client.api.kill(self.name, number.value)
        except failures():
            if self.pid is not None and self._alive():
                kill([self.pid], number)

    def _alive(self) -> bool:
        return self.pid is not None and self._started is not None and started_at(self.pid) == self._started

    def _remove(self) -> None:
        deadline = time.monotonic() + RESTART_WAIT_S
        while True:
            try:
                remove(self._client, self.name)
                return
            except failures() as error:
                if time.monotonic() > deadline:
                    raise RunnerError(
                        explain(error, f"container {self.name} could not be removed").message,
                        hint="the next run removes it; or: docker rm -f " + self.name,
                    ) from None
                time.sleep(_RETRY_S)

    def _follow(self) -> None:
        """The thread: copy the log until the container has ended, then find out how."""
        with closing(self._log):
            while self._ended is None:
                try:
                    for chunk in self._output:
                        self._log.write(chunk)
                    self._ended = self._ask_how_it_ended()
                except Exception as error:  # a connection breaks with many kinds of error
                    self._ended = self._judge_without_engine(error)
                    time.sleep(_RETRY_S)
        self._over.set()

    def _ask_how_it_ended(self) -> str:
        self._client.api.wait(self.name, timeout=None)
        found = self._client.api.inspect_container(self.name)
        how = describe_state(found["State"], found["HostConfig"]["Memory"])
        return f"{how}; the Docker Engine was stopped or restarted" if self._engine_lost else how

    def _judge_without_engine(self, error: Exception) -> str | None:
        """None as long as the container lives, or the engine may come back and tell how it ended."""
        if getattr(getattr(error, "response", None), "status_code", None) == 404:
            return "its container was removed by somebody else"
        self._engine_lost = True
        if self._alive():
            return None
        self._dead_since = self._dead_since or time.monotonic()
        if time.monotonic() - self._dead_since < VERDICT_WAIT_S:
            return None
        return "the Docker Engine went away, and its container ended"


def describe_state(state: Mapping[str, object], memory_limit: int) -> str:
    """How a container ended, from the ``State`` of its inspection. ``memory_limit`` in bytes, 0 for none."""
    status = int(str(state.get("ExitCode", 0)))
    if state.get("OOMKilled"):
        limit = f" (limit: {memory_limit / 2**20:g} MiB)" if memory_limit else ""
        return f"its container was killed for memory{limit}"
    if status == NOT_FOUND:
        return "its image lacks the program that starts the worker; use one built by docker/build.sh"
    how = describe_exit(128 - status if 128 < status < 128 + signal.NSIG else status)
    return f"{how}: {state['Error']}" if state.get("Error") else how
