"""Lines below what a program prints, seen through a terminal emulator."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import pyte
import pytest

from pytest_llem.report.screen import EVERY_S, Screen

ROWS = 6


class Emulator:
    """The other side of a pseudo-terminal, six rows high."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, 40))
        self.terminal: TextIO = os.fdopen(slave, "w")
        self.screen = pyte.Screen(40, ROWS)
        self._stream = pyte.ByteStream(self.screen)

    def print(self, text: str) -> None:
        self.terminal.write(text)
        self.terminal.flush()

    def until(self, seen: Callable[[list[str]], bool]) -> None:
        deadline = time.monotonic() + 10
        while not seen(self.rows()):
            assert time.monotonic() < deadline, self.rows()

    def rows(self) -> list[str]:
        """What is on the screen, with the cursor as ``_``."""
        while select.select([self._master], [], [], 0.05)[0]:
            self._stream.feed(os.read(self._master, 65536))
        rows = [line.rstrip() for line in self.screen.display]
        rows[self.screen.cursor.y] = rows[self.screen.cursor.y].ljust(self.screen.cursor.x) + "_"
        return rows

    def close(self) -> None:
        self.terminal.close()
        os.close(self._master)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.close()


def test_lines_come_below_the_cursor_and_what_is_printed_comes_where_it_belongs(emulator: Emulator) -> None:
    shown = ["one", "two"]
    screen = Screen(emulator.terminal, lambda width: shown)
    emulator.print("header\na test ")
    screen.show()
    emulator.until(lambda rows: rows == ["header", "a test _", "one", "two", "", ""])
    shown[:] = ["three"]
    emulator.until(lambda rows: rows == ["header", "a test _", "three", "", "", ""])
    with screen.cleared():
        emulator.print("passed\nanother ")
        assert emulator.rows() == ["header", "a test passed", "another _", "", "", ""]
    emulator.until(lambda rows: rows == ["header", "a test passed", "another _", "three", "", ""])
    screen.hide()
    assert emulator.rows() == ["header", "a test passed", "another _", "", "", ""]
    time.sleep(1.5 * EVERY_S)
    assert emulator.rows()[3] == "", "nothing is drawn any more"


def test_on_the_last_row_the_screen_makes_room(emulator: Emulator) -> None:
    screen = Screen(emulator.terminal, lambda width: ["one", "two"])
    emulator.print("\n".join(str(n) for n in range(ROWS)))
    screen.show()
    emulator.until(lambda rows: rows == ["2", "3", "4", "5_", "one", "two"])
    screen.hide()
    assert emulator.rows() == ["2", "3", "4", "5_", "", ""]


def test_more_lines_than_there_are_rows_are_left_out(emulator: Emulator) -> None:
    screen = Screen(emulator.terminal, lambda width: [f"{width} {n}" for n in range(20)])
    emulator.print("a test ")
    screen.show()
    emulator.until(lambda rows: rows == ["a test _", "39 0", "39 1", "39 2", "39 3", ""])
    screen.hide()


def test_a_terminal_that_is_gone_is_no_trouble() -> None:
    emulator = Emulator()
    screen = Screen(emulator.terminal, lambda width: ["one"])
    screen.show()
    emulator.until(lambda rows: rows[1] == "one")
    os.close(emulator._master)
    time.sleep(1.5 * EVERY_S)
    with screen.cleared():
        pass
    screen.hide()
