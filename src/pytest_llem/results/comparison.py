"""What a gate asks and what it answers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_llem.results.differences import OtherBoard
from pytest_llem.results.model import Interval, Outcome
from pytest_llem.results.rules import Rule
from pytest_llem.results.sequential import Plan

ALPHA = 0.01
Test = Literal["permutation", "welch"]


@dataclass(frozen=True)
class Gate:
    """What is compared, and how strictly. ``alpha``: the chance of a false alarm anywhere in the gate.

    ``plan``: the cycles came one after another until a verdict was found, so each look gets its portion of alpha.
    ``others``: how many comparisons of the same gate are judged apart from these (one configuration at a time)."""

    rules: tuple[Rule, ...]
    alpha: float = ALPHA
    other_board: OtherBoard = "widen"
    plan: Plan | None = None
    others: int = 0

    def alpha_after(self, cycles: int, max_cycles: int | None = None) -> float:
        """The level at which a configuration with so many cycles is judged; ``max_cycles``: of its own plan, if any."""
        plan = Plan(max_cycles) if self.plan is None and max_cycles is not None else self.plan
        return self.alpha if plan is None else self.alpha * plan.portion(cycles)


@dataclass(frozen=True)
class Comparison:
    """One figure of one configuration, now against before. Values are geometric means over cycles, SI units."""

    label: str
    config_hash: str
    metric: str
    verdict: Outcome
    tolerance: float  # relative, widened where the boards differ
    reason: str | None = None  # why it is inconclusive
    refused: bool = False  # it was not compared at all
    now: float | None = None
    before: float | None = None
    cycles_now: int = 0
    cycles_before: int = 0
    ratio: float | None = None  # now / before
    interval: Interval | None = None  # of the ratio, level ``confidence``
    confidence: float | None = None
    p_value: float | None = None  # one-sided, for the worse, Holm-adjusted
    test: Test | None = None
    smallest_change: float | None = None  # relative change for the worse that would have failed nine times in ten
    cycles_needed: int | None = None  # now, in all, the baseline as it is
    cycles_needed_both: int | None = None  # now and in the baseline
    other_output: bool = False  # the tokens are not those of the baseline
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All comparisons of a gate. ``new`` and ``gone``: configurations that only this run, or only the baseline, has."""

    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Fail when one fails; pass when there is something compared and all of it passes."""
        verdicts = {comparison.verdict for comparison in self.comparisons}
        return "fail" if "fail" in verdicts else "pass" if verdicts == {"pass"} else "inconclusive"
