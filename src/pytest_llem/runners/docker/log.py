"""A log file of bounded size that keeps the beginning and the end of what is written."""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from types import TracebackType

HALF_BYTES = 4 << 20


class BoundedLog:
    """Appends to a file up to a limit; of what comes after, the last part is added on closing.

    A disk that is full costs the log, not the experiment.
    """

    def __init__(self, path: Path, half_bytes: int = HALF_BYTES) -> None:
        self._path = path
        self._half = half_bytes
        self._written = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    def __enter__(self) -> BoundedLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, chunk: bytes) -> None:
        """Take what the worker has printed."""
        room = self._half - self._written
        if room > 0:
            self._append(chunk[:room])
            self._written += len(chunk[:room])
            chunk = chunk[room:]
        if chunk:
            self._tail.append(chunk)
            self._tail_bytes += len(chunk)
            while self._tail_bytes - len(self._tail[0]) >= self._half:
                first = len(self._tail.popleft())
                self._tail_bytes -= first
                self._dropped += first

    def close(self) -> None:
        """Add the end."""
        if self._dropped:
            self._append(f"\n[{self._dropped} bytes left out]\n".encode())
        self._append(b"".join(self._tail))
        self._tail.clear()

    def _append(self, chunk: bytes) -> None:
        if chunk:
            with contextlib.suppress(OSError), self._path.open("ab") as file:
                file.write(chunk)
