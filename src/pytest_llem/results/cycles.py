"""Budgets over all cycles of a configuration: the mean with its interval, judged as one figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_llem.results.budgets import ESTIMATED, decide
from pytest_llem.results.model import ExperimentResult, Interval, Verdict
from pytest_llem.results.rules import is_energy
from pytest_llem.results.sequential import Plan
from pytest_llem.results.tdist import quantile
from pytest_llem.study.budget import Budget

ERROR = 0.05
"""The chance that a mean's interval misses, both sides together."""
_MANY = 1e6  # degrees of freedom for which Student's t is the normal distribution


@dataclass(frozen=True)
class CycleVerdicts:
    """What the budgets say of one configuration's mean over its ``cycles``."""

    label: str
    config_hash: str
    cycles: int
    verdicts: tuple[Verdict, ...]


def judge_configurations(
    results: Iterable[ExperimentResult], max_cycles: Mapping[str, int] | None = None
) -> tuple[CycleVerdicts, ...]:
    """Every configuration of which there are two cycles or more with the same budgets, by these.

    ``max_cycles``: that of each run that went on until decided, by its id."""
    groups: dict[tuple[str, tuple[str, str], tuple[_Limits, ...]], list[ExperimentResult]] = {}
    for result in results:
        groups.setdefault((result.run_id, result.identity, _limits(result)), []).append(result)
    return tuple(
        CycleVerdicts(
            label=f"{cycles[0].study}[{cycles[0].cell_id.removesuffix(f'-c{cycles[0].cycle}')}]",
            config_hash=identity[0],
            cycles=len(cycles),
            verdicts=judge_cycles(cycles, budgets_of(cycles[0]), error_after(len(cycles), (max_cycles or {}).get(run))),
        )
        for (run, identity, limits), cycles in groups.items()
        if len(cycles) > 1 and limits
    )


def budgets_of(result: ExperimentResult) -> tuple[Budget, ...]:
    """The budgets that a result was judged by."""
    return tuple(Budget(metric=metric, min=low, max=high) for metric, low, high in _limits(result))


_Limits = tuple[str, float | None, float | None]


def _limits(result: ExperimentResult) -> tuple[_Limits, ...]:
    return tuple((verdict.metric, verdict.min, verdict.max) for verdict in result.verdicts)


def error_after(cycles: int, max_cycles: int | None) -> float:
    """The error that may be spent on so many cycles: its portion, where they went on until decided."""
    return ERROR if max_cycles is None else ERROR * Plan(max_cycles).portion(cycles)


def judge_cycles(
    cycles: Sequence[ExperimentResult], budgets: Iterable[Budget], error: float = ERROR
) -> tuple[Verdict, ...]:
    """A verdict for each budget on the mean over ``cycles``, which are of one configuration.

    Invalid cycles are left out of an energy's mean, with a note; where all are invalid, a budget on energy is
    undecided. A verdict on an estimate says so."""
    return tuple(_judge(cycles, budget, error) for budget in budgets)


def _judge(cycles: Sequence[ExperimentResult], budget: Budget, error: float) -> Verdict:
    energy = is_energy(budget.metric)
    valid = [result for result in cycles if result.validity.valid]
    chosen = valid if energy and valid else cycles
    value, interval = mean_over_cycles(chosen, budget.metric, error)
    outcome, reason = decide(value, interval, budget.min, budget.max)
    if value is None:
        missing = chosen[0].validity.missing.get(budget.metric.partition(".")[0]) if chosen else None
        reason = missing or "not measured"
    elif energy and not valid:
        codes = ", ".join(sorted({code for result in cycles for code in result.validity.reasons}))
        outcome, reason = "inconclusive", f"every cycle is invalid: {codes}"
    else:
        said = [reason] if reason else []
        said += [ESTIMATED] if energy and not all(result.measured for result in chosen) else []
        left_out = len(cycles) - len(chosen)
        said += [f"{left_out} of {len(cycles)} cycles are invalid and left out"] if left_out else []
        reason = "; ".join(said) or None
    return Verdict(
        metric=budget.metric,
        min=budget.min,
        max=budget.max,
        value=value,
        interval=interval,
        outcome=outcome,
        reason=reason,
    )


def mean_over_cycles(
    cycles: Sequence[ExperimentResult], metric: str, error: float = ERROR
) -> tuple[float | None, Interval | None]:
    """Mean of a figure and its interval (95 % at the default ``error``): Student's t over the cycles, the meter's part
    added in quadrature.

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
    factor, wide = quantile(1 - error / 2, np.array([n - 1.0, _MANY]))
    meter = min(own, default=0.0) * float(wide / quantile(0.975, np.array(_MANY)))
    # the meter's own error is mostly the same in every cycle, so it does not shrink with their number
    half = math.hypot(factor * float(values.std(ddof=1)) / math.sqrt(n), meter)
    mean = float(values.mean())
    low = mean - half if np.any(values < 0) else max(0.0, mean - half)  # as with a single result
    return mean, (low, mean + half)
