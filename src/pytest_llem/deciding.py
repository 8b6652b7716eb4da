"""``cycles: auto``: whether a configuration needs another cycle, found from what is on disk when its item starts.

Nothing is remembered between items, so that all of xdist's workers, and a run that is gone on with, come to the same.
Each look is made at its own portion of the error (:mod:`pytest_llem.results.sequential`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.baselining import BaselineGate
from pytest_llem.results.baseline import make_baseline
from pytest_llem.results.cycles import error_after, judge_cycles
from pytest_llem.results.model import ExperimentResult, Outcome
from pytest_llem.results.sequential import Plan, stop
from pytest_llem.results.store import RESULT, RunFolder, read_result, safe_name
from pytest_llem.study.study import Cell, Study

PRECISE = "energy_per_output_token_j"
"""The figure whose interval decides where no budget and no baseline does."""

_WHY = {"decided": "decided after {} cycles", "precise": "precise enough after {} cycles"}


@dataclass(frozen=True)
class Decider:
    """``gate``: the baseline of the session, if a regression would fail it."""

    study: Study
    folder: RunFolder
    gate: BaselineGate | None

    def settled(self, cell: Cell) -> str | None:
        """Why ``cell`` need not be run; None when it is needed. Raises ResultError for a damaged result."""
        limit = self.study.execution.limit
        if limit is None:
            return None
        plan = Plan(limit, self.study.execution.precision)
        found = self._before(cell)
        for look in plan.looks():
            if look > len(found):
                return None
            if (why := self._stop(plan, found[:look], cell)) is not None:
                return _WHY[why].format(look)
        return None

    def _before(self, cell: Cell) -> list[ExperimentResult]:
        """The results of earlier cycles that there are so far, in order."""
        earlier = [c for c in self.study.cells if c.config_hash == cell.config_hash and c.cycle < cell.cycle]
        paths = [self.folder.path / safe_name(c.id) / RESULT for c in sorted(earlier, key=lambda c: c.cycle)]
        return [read_result(path) for path in paths if path.exists()]

    def _stop(self, plan: Plan, cycles: Sequence[ExperimentResult], cell: Cell) -> str | None:
        verdicts = [v.outcome for v in judge_cycles(cycles, cell.budgets, error_after(len(cycles), plan.max_cycles))]
        verdicts += self._compared(plan, cycles)
        figures = [result.figure(PRECISE)[0] for result in cycles if result.validity.valid]
        known = [value for value in figures if value is not None]
        return stop(plan, len(cycles), [known] if len(known) == len(cycles) else [], verdicts)

    def _compared(self, plan: Plan, cycles: Sequence[ExperimentResult]) -> list[Outcome]:
        if self.gate is None or not self.gate.enforced:
            return []
        now = make_baseline(cycles, max_cycles={cycles[0].run_id: plan.max_cycles})
        rows = self.gate.judge_one(now).comparisons
        return ["fail" if row.refused else row.verdict for row in rows]  # more cycles do not mend a refusal
