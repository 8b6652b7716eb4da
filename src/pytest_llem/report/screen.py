"""Lines on a terminal below what a program prints there, without being in its way.

The cursor is left where the program had it, also in the middle of a line: whatever is printed comes where it would have
come without us. So nothing is hidden or moved that a killed process would leave behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

EVERY_S = 0.5
_SAVE, _RESTORE, _DOWN = "\x1b7", "\x1b8", "\x1bD"  # down: scrolls on the last row, and keeps the column
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Screen:
    """Draws ``lines(width)`` on ``terminal`` twice a second, in a thread, between :meth:`show` and :meth:`hide`."""

    def __init__(self, terminal: TextIO, lines: Callable[[int], Sequence[str]]) -> None:
        self._terminal = terminal
        self._lines = lines
        self._lock = threading.RLock()
        self._drawn = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self) -> None:
        """Begin to draw."""
        if self._thread is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._draw_on, args=[self._stop], name="llem-screen", daemon=True)
            self._thread.start()

    def hide(self) -> None:
        """Draw no more, and clear what was drawn."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(EVERY_S)
            with self.cleared():
                pass

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Nothing is drawn in between, so that the program may print; it must flush."""
        with self._lock:
            if self._drawn:
                self._drawn = False
                with suppress(OSError):
                    self._put(_CLEAR_BELOW)
            yield

    def _draw_on(self, stop: threading.Event) -> None:
        with suppress(OSError):  # the terminal is gone
            while not stop.wait(EVERY_S):
                size = os.get_terminal_size(self._terminal.fileno())
                lines = self._lines(size.columns - 1)[: max(0, size.lines - 2)]
                with self._lock:
                    if lines and not stop.is_set():
                        room = _DOWN * len(lines) + f"\x1b[{len(lines)}A"
                        text = "".join(f"\r\n{line}{_CLEAR_LINE}" for line in lines)
                        self._put(f"{room}{_SAVE}{text}{_CLEAR_BELOW}{_RESTORE}")
                        self._drawn = True

    def _put(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()
