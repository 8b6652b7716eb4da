"""A study: everything that is to be run, in the order to run it, and what will not run and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_llem.study.budget import Budget
from pytest_llem.study.cell import Cell
from pytest_llem.study.header import Execution

MOST_NOTICES = 20

Item = TypeVar("Item")


@dataclass(frozen=True)
class LeftOut:
    """A point of the sweep that cannot run, in the words of an id, and the reason."""

    where: str
    reason: str


@dataclass(frozen=True)
class Merged:
    """A point that is the same experiment as the kept one, so that it runs once."""

    kept: str
    dropped: str
    because: str


@dataclass(frozen=True)
class Study:
    """What a study file describes. ``cells`` are in the order to run, every cycle of every experiment."""

    name: str
    description: str
    path: Path | None  # None for a study made in Python
    source: str
    study_hash: str
    execution: Execution
    budgets: tuple[Budget, ...]
    runner: str | None
    runners: Mapping[str, str]
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()
    merged: tuple[Merged, ...] = ()
    notes: tuple[str, ...] = ()

    def notices(self) -> list[str]:
        """What a user should know before it runs, a line for each kind of thing that was left out or merged."""
        lines = [f"{self.name}: {note}" for note in self.notes]
        for out, count in _by_kind(self.left_out, lambda one: one.reason):
            others = f" and {count - 1} more" if count > 1 else ""
            lines.append(f"{self.name}: left out {out.where}{others}: {out.reason}")
        for same, count in _by_kind(self.merged, lambda one: one.because):
            others = f" ({count} such points)" if count > 1 else ""
            lines.append(f"{self.name}: {same.dropped} is the same experiment as {same.kept}{others}: {same.because}")
        hidden = len(lines) - MOST_NOTICES
        return lines if hidden <= 0 else [*lines[:MOST_NOTICES], f"{self.name}: and {hidden} more notices like these"]


def _by_kind(items: Sequence[Item], kind: Callable[[Item], str]) -> list[tuple[Item, int]]:
    """The first of each kind, and how many there are of it."""
    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(kind(item), item)
    count = Counter(map(kind, items))
    return [(item, count[name]) for name, item in first.items()]
