"""Live progress of the running experiment: a line that replaces itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

_SAVE, _RESTORE, _CLEAR = "\x1b7", "\x1b8", "\x1b[K"
QUIET_S = 15.0  # a log gets a line at most this often for one experiment


class TerminalLine:
    """Text right of the cursor that vanishes again, so that it never mixes with what the test runner prints."""

    def __init__(self, write: Callable[[str], None], room: Callable[[], int]) -> None:
        self._write = write
        self._room = room

    def show(self, text: str) -> None:
        room = self._room()
        if room > 8:
            self._write(f"{_SAVE} {text[: room - 1]}{_CLEAR}{_RESTORE}")

    def clear(self) -> None:
        self._write(_CLEAR)


class LogLines:
    """Whole lines for a log: only when an experiment has been running for a while, and then seldom."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._last = now()
        self._in_line = True  # what the test runner has begun to write of the item

    def show(self, text: str) -> None:
        if self._now() - self._last >= QUIET_S:
            self._write(f"\n{text}\n" if self._in_line else f"{text}\n")
            self._in_line = False
            self._last = self._now()

    def clear(self) -> None:
        self._last = self._now()
        self._in_line = True
