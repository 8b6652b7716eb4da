"""One cell of a study: one experiment, in one cycle, with its name, its budgets and where it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_llem.study.budget import Budget
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.runner import RunnerChoice

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Cell:
    """An experiment to run. ``id`` is unique in the study and safe in ``-k``, in file names and in JUnit."""

    study: str
    id: str  # "pytorch-bs16-out128-c2"
    config: ExperimentConfig
    config_hash: str  # same experiment, same hash, whatever the cycle or the runner
    cycle: int  # from 1
    swept: dict[str, Scalar]  # dotted path -> value, of the swept paths only
    budgets: tuple[Budget, ...] = ()
    runner: RunnerChoice = field(default_factory=lambda: RunnerChoice("local"))
    timeout_s: float = 600.0
    silence_timeout_s: float = 300.0
    gap_before_s: float = 0.0
    skip_preflight: bool = False
    line: int = 0  # line of the study file that made it
