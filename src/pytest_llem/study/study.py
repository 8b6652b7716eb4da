"""A study: everything that is to be run, in the order to run it, and what will not run and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llem.study.budget import Budget
from pytest_llem.study.cell import Cell
from pytest_llem.study.header import Execution


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
        for reason, count in Counter(one.reason for one in self.left_out).items():
            example = next(one.where for one in self.left_out if one.reason == reason)
            others = f" and {count - 1} more" if count > 1 else ""
            lines.append(f"{self.name}: left out {example}{others}: {reason}")
        for because, count in Counter(one.because for one in self.merged).items():
            first = next(one for one in self.merged if one.because == because)
            others = f" ({count} such points)" if count > 1 else ""
            lines.append(f"{self.name}: {first.dropped} is the same experiment as {first.kept}{others}: {because}")
        return lines
