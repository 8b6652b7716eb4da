"""A terminal to run programs in: a pseudo-terminal, with a terminal emulator that says what a person would see."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte


class Terminal:
    """One program in a terminal of its own."""

    def __init__(self, command: Sequence[str], folder: Path, rows: int = 40, columns: int = 100) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(folder)
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", "PY_COLORS": "1"})
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without empty lines."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def until(self, seen: Callable[[list[str]], object], limit_s: float = 60) -> None:
        """Read until the screen is as wanted; not asked before there are a few lines."""
        deadline = time.monotonic() + limit_s
        while len(self.lines) < 4 or not seen(self.lines):
            assert time.monotonic() < deadline, "\n".join(self.lines)
            assert self.read(), "the program ended:\n" + "\n".join(self.lines)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self, limit_s: float = 60) -> int:
        """Read until the program ends; its exit status."""
        deadline = time.monotonic() + limit_s
        while self.read():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("it does not end:\n" + "\n".join(self.lines))
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def read(self) -> bool:
        """A little of what it writes; False when there will be no more."""
        if select.select([self._master], [], [], 0.1)[0]:
            data = b""
            with contextlib.suppress(OSError):  # what Linux gives when the other side is closed
                data = os.read(self._master, 65536)
            if not data:
                return False
            self._stream.feed(data)
        return True
