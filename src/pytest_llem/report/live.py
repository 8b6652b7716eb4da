"""Live progress of the running experiment: a line that replaces itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

_SAVE, _RESTORE, _CLEAR = "\x1b7", "\x1b8", "\x1b[K"
QUIET_S = 15.0  # a log gets a line at most this often for one experiment


class Pace:
    """Which experiment it is, and how long all of them still take, from what was learnt so far."""

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._now = now
        self._began = now()
        self._took: list[float] = []

    def begin(self) -> None:
        self._began = self._now()

    def end(self) -> None:
        self._took.append(self._now() - self._began)

    def place(self) -> str:
        """``2 of 4``; just the number where the total is not known."""
        number = len(self._took) + 1
        return f"{number} of {self._total}" if number <= self._total else str(number)

    def left_s(self, this_one_s: float | None) -> float | None:
        """Seconds until all are through: those that are through took as long on average; the first is judged by
        ``this_one_s``, what it still needs itself. None while nothing is known."""
        elapsed = self._now() - self._began
        if self._took:
            each = sum(self._took) / len(self._took)
        elif this_one_s is not None:
            each = elapsed + this_one_s
        else:
            return None
        waiting = max(0, self._total - len(self._took) - 1)
        return max(0.0, each - elapsed) + waiting * each


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
