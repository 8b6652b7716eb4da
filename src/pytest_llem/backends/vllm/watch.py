"""Wakes whoever waits for an engine process that died: vLLM's offline engine would let it wait for ever.

vLLM (0.26 to 0.30) notices the death and closes its sockets, but puts nothing into the queue that ``step`` waits on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import Any

_LOOK_S = 0.5


class EngineGoneError(RuntimeError):
    """The engine's process ended while somebody waited for it; the log may hold its stack trace."""


class Watch:
    """Looks twice a second, from when it is made, whether the engine's processes live."""

    def __init__(self, client: Any) -> None:
        """``client``: vLLM's ``engine_core``, the side of the engine that is in this process."""
        manager = getattr(getattr(client, "resources", None), "engine_manager", None)
        self._client = client
        self._handles: Sequence[Any] = tuple(getattr(manager, "processes", ()))
        self._over = threading.Event()
        if self._handles:
            threading.Thread(target=self._look, daemon=True).start()

    def stop(self) -> None:
        """From now on the processes may end."""
        self._over.set()

    def exits(self) -> list[tuple[int | None, int | None]]:
        """(process id, exit status) of each; None as long as it runs, a signal's number with a minus if it was one."""
        return [(handle.pid, handle.exitcode) for handle in self._handles]

    def _look(self) -> None:
        while not self._over.wait(_LOOK_S):
            if any(status is not None for _, status in self.exits()):
                self._wake()

    def _wake(self) -> None:
        error = EngineGoneError("no answer from the engine: see its stack trace")
        self._client.outputs_queue.put_nowait(error)  # what `step` gets
        for waiting in list(self._client.utility_results.values()):  # what remote calls get
            with suppress(InvalidStateError):
                waiting.set_exception(error)
