"""``cycles: auto``: whether a configuration needs another cycle, found from what is on disk when its item starts.

Nothing is remembered between items, so that all of xdist's workers, and a run that is gone on with, come to the same.
Each look is made at its own portion of the error (:mod:`pytest_llem.results.sequential`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pytest_llem.baselining import BaselineGate
from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import make_baseline
from pytest_llem.results.cycles import error_after, judge_cycles
from pytest_llem.results.model import ExperimentResult, Outcome
from pytest_llem.results.sequential import Plan, stop
from pytest_llem.results.store import RESULT, RunFolder, read_result, safe_name
from pytest_llem.study.study import Cell, Study
from pytest_llem.study.variants import Variant

PRECISE = "energy_per_output_token_j"
"""The figure whose interval decides where no budget and no baseline does."""

_WHY = {"decided": "decided after {} cycles", "precise": "precise enough after {} cycles"}


@dataclass(frozen=True)
class Decider:
    """``gate``: what the session compares with. Variants are measured until they are compared; a baseline decides only
    where a regression would fail the run."""

    study: Study
    folder: RunFolder
    gate: BaselineGate | None

    def settled(self, cell: Cell) -> str | None:
        """Why ``cell`` need not be run; None when it is needed. Raises ResultError for a damaged result."""
        limit = self.study.execution.limit
        if limit is None:
            return None
        plan = Plan(limit, self.study.execution.precision)
        sides = self._before(cell)
        for look in plan.looks():
            if any(look > len(side) for side in sides):
                return None
            if (why := self._stop(plan, [side[:look] for side in sides], cell)) is not None:
                return _WHY[why].format(look)
        return None

    def _before(self, cell: Cell) -> list[list[ExperimentResult]]:
        """For each variant, or for all, the results of earlier cycles that there are so far, in order."""
        alike = sorted((c for c in self.study.cells if c.config_hash == cell.config_hash), key=lambda c: c.cycle)
        sides: dict[Variant | None, list[ExperimentResult]] = {one.variant: [] for one in alike}
        for one in alike:
            path = self.folder.path / safe_name(one.id) / RESULT
            if one.cycle < cell.cycle and path.exists():
                with suppress(ResultError):  # as good as none: it is measured again, perhaps by another process
                    sides[one.variant].append(read_result(path))
        return list(sides.values())

    def _stop(self, plan: Plan, sides: Sequence[Sequence[ExperimentResult]], cell: Cell) -> str | None:
        n = len(sides[0])
        error = error_after(n, plan.max_cycles)
        verdicts = [verdict.outcome for side in sides for verdict in judge_cycles(side, cell.budgets, error)]
        verdicts += self._compared(plan, [result for side in sides for result in side])
        figures = [[r.figure(PRECISE)[0] for r in side if r.validity.valid] for side in sides]
        known = [[value for value in values if value is not None] for values in figures]
        return stop(plan, n, known if all(len(values) == n for values in known) else [], verdicts)

    def _compared(self, plan: Plan, cycles: Sequence[ExperimentResult]) -> list[Outcome]:
        pairs = len({cell.config_hash for cell in self.study.cells if cell.variant is not None})
        if self.gate is None or not (self.gate.enforced or pairs):
            return []
        now = make_baseline(cycles, max_cycles={cycles[0].run_id: plan.max_cycles})
        rows = self.gate.judge_one(now, pairs).comparisons
        return ["fail" if row.refused else row.verdict for row in rows]  # more cycles do not mend a refusal
