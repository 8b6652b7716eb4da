"""How a run goes on: counts, what each running experiment does, seconds left from what was learnt so far, energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_llem.report.units import duration, si

if TYPE_CHECKING:
    from rich.console import Console

_WORDS = {
    "gap": "pausing between experiments",
    "again": "trying once more",
    "starting": "starting the worker",
    "loading": "loading the model",
    "loaded": "model loaded",
    "warmup": "warming up",
    "window": "window",
}


@dataclass(frozen=True)
class Step:
    """What an experiment does now. Times are CLOCK_MONOTONIC's, which is one for all processes of a host."""

    cell: str
    began: float  # the experiment
    since: float  # this step
    phase: str = "starting"
    text: str = ""
    done: int = 0
    total: int = 0
    measuring: float | None = None  # since when

    def then(self, phase: str, text: str, done: int, total: int, now: float) -> Step:
        """The step that follows."""
        measuring = now if phase == "window" and self.measuring is None else self.measuring
        return replace(self, since=now, phase=phase, text=text, done=done, total=total, measuring=measuring)

    def left_s(self, now: float, usual_s: float | None) -> float | None:
        """From its own windows once one is through, before that from what is usual; None while nothing is known."""
        if self.phase == "window" and self.measuring is not None and self.done > 1:
            each_s = (self.since - self.measuring) / (self.done - 1)
            return max(0.0, (self.total - self.done + 1) * each_s - (now - self.since))
        return None if usual_s is None else max(0.0, usual_s - (now - self.began))

    def words(self) -> str:
        """``window 2 of 5``; without what could move a terminal's cursor, for a part comes from the worker."""
        place = f" {self.done} of {self.total}" if self.total else ""
        words = _WORDS.get(self.phase, self.phase) + place + (f": {self.text}" if self.text else "")
        return "".join(letter if letter.isprintable() else " " for letter in words)


class Board:
    """Counts and sums over the experiments of this session, ``cells`` by name."""

    def __init__(self, cells: Iterable[str]) -> None:
        self.cells = frozenset(cells)
        self.running: set[str] = set()
        self.done: set[str] = set()
        self._took_s: list[float] = []
        self._energy_j: list[float] = []
        self._estimated = False

    def end(self, name: str, took_s: float | None, energy_j: float | None, *, estimated: bool) -> None:
        """An experiment is through; ``took_s`` is None where it was not run."""
        self.running.discard(name)
        if name in self.done:
            return
        self.done.add(name)
        self._took_s += [] if took_s is None else [took_s]
        self._energy_j += [] if energy_j is None else [energy_j]
        self._estimated |= energy_j is not None and estimated

    @property
    def usual_s(self) -> float | None:
        """How long those that are through took on average."""
        return sum(self._took_s) / len(self._took_s) if self._took_s else None

    def left_s(self, now: float, steps: Sequence[Step] = ()) -> float | None:
        """Seconds until all are through, with as many at a time as are running now."""
        lefts = [left for step in steps if (left := step.left_s(now, self.usual_s)) is not None]
        usual_s = self.usual_s
        if usual_s is None:
            if not lefts:
                return None
            usual_s = max(now - step.began for step in steps) + max(lefts)  # judged by the first, which still runs
        others = len(self.cells) - len(self.done) - len(lefts)  # wait, or have not told yet what they do
        return (sum(lefts) + others * usual_s) / max(1, len(self.running))

    def words(self, now: float, steps: Sequence[Step] = ()) -> str:
        """Counts, time left and energy in one line."""
        waiting = len(self.cells) - len(self.done) - len(self.running)
        parts = [f"{len(self.done)} done, {len(self.running)} running, {waiting} waiting"]
        if (left_s := self.left_s(now, steps)) is not None:
            parts.append(f"about {_whole(left_s)} left")
        if self._energy_j:
            parts.append(si(sum(self._energy_j), "J") + (" ESTIMATED" if self._estimated else ""))
        return ", ".join(parts)


def view(console: Console, board: Board, steps: Sequence[Step], now: float, width: int) -> list[str]:
    """Lines for a terminal that is ``width`` columns wide."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    with console.capture() as captured:
        if board.cells:
            head = Table.grid(padding=(0, 1))
            head.add_row(ProgressBar(len(board.cells), len(board.done), width=10), Text(board.words(now, steps)))
            console.print(head, width=width)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True, style="bold")
        rows.add_column(no_wrap=True)
        rows.add_column(no_wrap=True, style="dim")
        for step in steps:
            left_s = step.left_s(now, board.usual_s)
            left = "" if left_s is None else f", about {_whole(left_s)} left"
            rows.add_row(Text(step.cell), Text(step.words()), _whole(now - step.began) + left)
        console.print(rows, width=width)
    return captured.get().splitlines()


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)
