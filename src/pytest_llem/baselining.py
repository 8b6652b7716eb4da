"""What a session's figures are compared with, and by which rules: a baseline, and of two variants the first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.results.baseline import Baseline, read_baseline
from pytest_llem.results.comparison import Gate, Report
from pytest_llem.results.judgement import Runs, compare_with_noise
from pytest_llem.results.rules import DEFAULT_RULE, Rule

if TYPE_CHECKING:
    from pytest_llem.options import Options


@dataclass(frozen=True)
class BaselineGate:
    """``enforced``: a regression fails the run; without rules of the user's own it is only told. Variants need no
    baseline besides."""

    path: Path | None
    before: Baseline | None
    gate: Gate
    enforced: bool

    @classmethod
    def load(cls, options: Options) -> BaselineGate:
        """Read baseline and rules before anything is measured; raises ResultError or LlemError."""
        rules = tuple(Rule.from_text(text) for text in options.fail_on or (DEFAULT_RULE,))
        gate = Gate(rules, other_board=options.other_board)
        before = None if options.compare is None else read_baseline(options.compare)
        return cls(options.compare, before, gate, bool(options.fail_on))

    def judge(self, runs: Runs) -> Report:
        """The session's results against the baseline; raises ResultError."""
        if not runs.results:
            return Report((), notes=("this session has no results",))
        return compare_with_noise(runs.baseline(), self.before, self.gate)

    def judge_one(self, now: Baseline, pairs: int = 0) -> Report:
        """One configuration by itself, as strictly as among all that the baseline has and the ``pairs`` of variants in
        its study: what is decided here is decided in the end as well. Raises ResultError."""
        known = 0 if self.before is None else len(self.before.configurations)
        others = (known + pairs - 1) * len(self.gate.rules)
        return compare_with_noise(now, self.before, replace(self.gate, others=others))
