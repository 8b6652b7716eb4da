"""A log file of bounded size that keeps the beginning and the end of what is written."""

from __future__ import annotations

import contextlib
from pathlib import Path

HALF_BYTES = 4 << 20


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
            with contextlib.suppress(OSError), self._path.open("ab") as file:
                file.write(chunk)
