"""What is said around a study file, checked and joined with what the file says."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from pytest_llem.errors import LlemError
from pytest_llem.study.budget import Budget
from pytest_llem.study.config import BUILT_IN_BACKENDS
from pytest_llem.study.document import Document, Place
from pytest_llem.study.header import Execution
from pytest_llem.study.overrides import Overrides
from pytest_llem.study.problems import Problems, shown
from pytest_llem.study.runner import parse_runner, said
from pytest_llem.study.select import Written

Number = TypeVar("Number", int, float)


def usable(overrides: Overrides, problems: Problems) -> Overrides:
    """``overrides`` without the numbers that cannot be used; these, and wrong runners, go to ``problems``."""
    for backend in BUILT_IN_BACKENDS:
        for source, name, text in said(backend, None, {}, overrides):
            try:
                parse_runner(text)
            except LlemError as error:
                problems.add(Place(source), name, error.message, error.hint)
    return replace(
        overrides,
        seed=_number(overrides.seed, "command line", "--llem-seed", problems),
        seed_ini=_number(overrides.seed_ini, "ini", "llem_seed", problems),
        timeout_s=_number(overrides.timeout_s, "command line", "--llem-timeout", problems),
        timeout_ini_s=_number(overrides.timeout_ini_s, "ini", "llem_timeout", problems),
    )


def extra_budgets(overrides: Overrides, problems: Problems) -> list[Written]:
    """The budgets that every cell gets."""
    budgets: list[Written] = []
    for text in overrides.budgets:
        try:
            budgets.append((Budget.from_text(text), ()))
        except LlemError as error:
            problems.add(Place("command line"), "--llem-budget", error.message, error.hint)
    return budgets


def with_time_limit(execution: Execution, document: Document, overrides: Overrides) -> Execution:
    """``execution`` with the time limit that wins."""
    given = document.data.get("execution")
    in_study = isinstance(given, dict) and "timeout_s" in given
    limit = overrides.timeout_s if overrides.timeout_s is not None or in_study else overrides.timeout_ini_s
    return execution if limit is None else execution.model_copy(update={"timeout_s": limit})


def _number(value: Number | None, source: str, name: str, problems: Problems) -> Number | None:
    if value is None or 0 <= value < 2**63:
        return value
    problems.add(Place(source), name, f"expected a value at least 0, got {shown(value)}")
    return None
