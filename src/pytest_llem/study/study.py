"""A study: everything that is to be run, in the order to run it, and what will not run and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.study.budget import Budget
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.header import Execution
from pytest_llem.study.runner import RunnerChoice
from pytest_llem.study.variants import Variant

MOST_NOTICES = 20

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Cell:
    """An experiment in one cycle. ``id`` is unique in the study and safe in ``-k``, in file names and in JUnit."""

    study: str
    id: str  # "pytorch-bs16-out128-c2"
    config: ExperimentConfig
    config_hash: str  # same experiment, same hash, whatever the cycle or the runner
    cycle: int  # from 1
    swept: dict[str, Scalar]  # dotted path -> value, of the swept paths only
    budgets: tuple[Budget, ...] = ()
    runner: RunnerChoice = field(default_factory=lambda: RunnerChoice("local"))
    timeout_s: float = 600.0  # of each try
    end_by: float = math.inf  # CLOCK_MONOTONIC: set when a study with a time limit runs; all tries end by then
    silence_timeout_s: float = 300.0
    gap_before_s: float = 0.0
    skip_preflight: bool = False
    variant: Variant | None = None
    line: int = 0  # line of the study file that made it

    @property
    def variant_name(self) -> str:
        """Empty where there are no variants."""
        return "" if self.variant is None else self.variant.name


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
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()
    merged: tuple[Merged, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The path as a manifest keeps it; empty for a study made in Python."""
        return "" if self.path is None else str(self.path)

    def notices(self) -> list[str]:
        """What a user should know before it runs, a line for each kind of thing that was left out or merged."""
        left_out: dict[str, list[LeftOut]] = {}
        for out in self.left_out:
            left_out.setdefault(out.reason, []).append(out)
        merged: dict[str, list[Merged]] = {}
        for same in self.merged:
            merged.setdefault(same.because, []).append(same)
        lines = list(self.notes)
        for reason, outs in left_out.items():
            others = f" and {len(outs) - 1} more" if len(outs) > 1 else ""
            lines.append(f"left out {outs[0].where}{others}: {reason}")
        for because, sames in merged.items():
            others = f" ({len(sames)} such points)" if len(sames) > 1 else ""
            lines.append(f"{sames[0].dropped} is the same experiment as {sames[0].kept}{others}: {because}")
        hidden = len(lines) - MOST_NOTICES
        lines[MOST_NOTICES:] = [f"and {hidden} more notices like these"] if hidden > 0 else []
        return [f"{self.name}: {line}" for line in lines]
