"""What vLLM's processes print: passed on as it comes, the last lines kept, to find the reason when one fails."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_KEPT = 3000  # lines; a traceback of several processes takes some hundred


class LogTail:
    """Listens to file descriptors 1 and 2 of the processes that are started inside :meth:`listening`."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._unfinished = b""
        self._thread: threading.Thread | None = None
        self._reading: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Processes started inside keep talking to this object after it; this process's own output is put back."""
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        saved = os.dup(1), os.dup(2)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        self._reading = reading
        os.register_at_fork(after_in_child=self._forget)
        self._thread = threading.Thread(target=self._pump, args=(reading, os.dup(saved[1])), daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)

    def lines(self, wait_s: float = 0.5) -> list[str]:
        """The last lines; waits for the processes to end, as long as given, since they may be in the middle of one."""
        if self._thread is not None:
            self._thread.join(wait_s)
        return [*self._lines, self._unfinished.decode(errors="replace")]

    def _pump(self, reading: int, out: int) -> None:
        while data := os.read(reading, 65536):
            os.write(out, data)
            *complete, self._unfinished = (self._unfinished + data).split(b"\n")
            self._lines.extend(line.decode(errors="replace") for line in complete)
        self._reading = None
        os.close(reading)
        os.close(out)

    def _forget(self) -> None:
        """In a forked child: were it to hold the reading end too, it could wait for ever once its parent is gone."""
        if self._reading is not None:
            os.close(self._reading)
            self._reading = None
