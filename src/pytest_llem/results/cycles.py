"""Budgets over all cycles of a configuration: the mean with its interval, judged as one figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pytest_llem.results.budgets import decide
from pytest_llem.results.model import ExperimentResult, Interval, Outcome, Verdict
from pytest_llem.results.rules import is_energy
from pytest_llem.results.tdist import quantile
from pytest_llem.study.budget import Budget


def judge_cycles(cycles: Sequence[ExperimentResult], budgets: Iterable[Budget]) -> tuple[Verdict, ...]:
    """A verdict for each budget on the mean over ``cycles``, which are of one configuration.

    Invalid cycles are left out of an energy's mean, with a note. Where all are invalid, or where energy was
    estimated, a budget on energy cannot pass."""
    return tuple(_judge(cycles, budget) for budget in budgets)


def _judge(cycles: Sequence[ExperimentResult], budget: Budget) -> Verdict:
    energy = is_energy(budget.metric)
    valid = [result for result in cycles if result.validity.valid]
    chosen = valid if energy and valid else cycles
    value, interval = mean_over_cycles(chosen, budget.metric)
    outcome: Outcome
    outcome, reason = decide(value, interval, budget.min, budget.max)
    if value is None:
        missing = chosen[0].validity.missing.get(budget.metric.partition(".")[0]) if chosen else None
        reason = missing or "not measured"
    elif outcome == "pass" and energy and not valid:
        codes = ", ".join(sorted({code for result in cycles for code in result.validity.reasons}))
        outcome, reason = "inconclusive", f"every cycle is invalid: {codes}"
    elif outcome == "pass" and energy and not all(result.measured for result in chosen):
        outcome, reason = "inconclusive", "the energy is an estimate"
    elif len(chosen) < len(cycles):
        left_out = f"{len(cycles) - len(chosen)} of {len(cycles)} cycles are invalid and left out"
        reason = f"{reason}; {left_out}" if reason else left_out
    return Verdict(
        metric=budget.metric,
        min=budget.min,
        max=budget.max,
        value=value,
        interval=interval,
        outcome=outcome,
        reason=reason,
    )


def mean_over_cycles(cycles: Sequence[ExperimentResult], metric: str) -> tuple[float | None, Interval | None]:
    """Mean of a figure and its 95 % interval: Student's t over the cycles, the meter's part added in quadrature.

    The meter's part is the narrowest of the cycles' own intervals. With one cycle it is that one's. Cycles without the
    figure are left out."""
    found = [(value, ends) for value, ends in (result.figure(metric) for result in cycles) if value is not None]
    if not found:
        return None, None
    if len(found) == 1:
        return found[0]
    n = len(found)
    values = np.array([value for value, _ in found])
    own = [(ends[1] - ends[0]) / 2 for _, ends in found if ends is not None]
    factor = float(quantile(0.975, np.array(n - 1.0)))
    # the meter's own error is mostly the same in every cycle, so it does not shrink with their number
    half = math.hypot(factor * float(values.std(ddof=1)) / math.sqrt(n), min(own, default=0.0))
    mean = float(values.mean())
    return mean, (mean - half, mean + half)
