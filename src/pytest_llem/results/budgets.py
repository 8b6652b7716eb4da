"""Judging a result against its budgets: pure, and never sure without a reason to be."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llem.results.model import ExperimentResult, Interval, Outcome, Verdict
from pytest_llem.results.rules import is_energy
from pytest_llem.study.budget import Budget

ESTIMATED = "the energy is an estimate"


def judge(result: ExperimentResult, budgets: Iterable[Budget]) -> tuple[Verdict, ...]:
    """A verdict for each budget; the budgets are those that apply to this cell already."""
    return tuple(_judge_one(result, budget) for budget in budgets)


def _judge_one(result: ExperimentResult, budget: Budget) -> Verdict:
    value, interval = result.figure(budget.metric)
    outcome, reason = decide(value, interval, budget.min, budget.max)
    if value is None:
        reason = result.validity.missing.get(budget.metric.partition(".")[0], "not measured")
    elif is_energy(budget.metric) and not result.validity.valid:
        codes = ", ".join(result.validity.reasons)
        outcome, reason = "inconclusive", f"the measurement is invalid: {codes}"
    elif is_energy(budget.metric) and not result.measured:
        reason = "; ".join([*([reason] if reason else []), ESTIMATED])
    return Verdict(
        metric=budget.metric,
        min=budget.min,
        max=budget.max,
        value=value,
        interval=interval,
        outcome=outcome,
        reason=reason,
    )


def decide(
    value: float | None, interval: Interval | None, low: float | None, high: float | None
) -> tuple[Outcome, str | None]:
    """``pass`` when the whole interval lies within [low, high], ``fail`` when all of it lies outside, else
    ``inconclusive``. A value without an interval is taken as exact; a missing value is inconclusive."""
    if value is None:
        return "inconclusive", "not measured"
    lower, upper = interval if interval is not None else (value, value)
    # What is found is more than nothing, even where its interval reaches down to 0: then a limit of 0 is broken.
    above = high is not None and (lower > high or (high <= 0 <= lower and value > high))
    below = low is not None and upper < low
    if above or below:
        return "fail", None
    within = (high is None or upper <= high) and (low is None or lower >= low)
    if within:
        return "pass", None
    return "inconclusive", "the limit lies inside the 95 % interval; more repeats or cycles narrow it"
