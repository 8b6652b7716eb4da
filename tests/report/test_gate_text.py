"""The gate's verdicts in a terminal, and as JSON."""

from __future__ import annotations

import json
import math

from pytest_llem.report.gate_text import MOST, comparison_lines, cycle_lines
from pytest_llem.report.study_json import comparison_data, study_json
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.cycles import CycleVerdicts
from pytest_llem.results.model import Verdict


def row(number: int = 0, verdict: str = "pass", **changes: object) -> Comparison:
    fields = {
        "label": f"study[{number}]",
        "config_hash": str(number),
        "metric": "energy_j",
        "tolerance": 0.02,
        **changes,
    }
    return Comparison(verdict=verdict, **fields)  # type: ignore[arg-type]  # a test's own keywords


def test_failures_come_first_and_the_rest_is_counted() -> None:
    lines = comparison_lines(
        Report((*(row(n) for n in range(MOST)), row(99, "fail", ratio=1.1, interval=(1.08, 1.12))))
    )
    assert lines[0] == (
        "WORSE         study[99] energy_j ↑ +10.0 % (+8.0 … +12.0), tolerance 2 %, 0 cycles against 0",
        "red",
    )
    assert lines[-1] == ("and 1 more", "")


def test_what_was_not_compared_is_as_red_as_a_failure() -> None:
    first, reason = comparison_lines(Report((row(1, "inconclusive", refused=True, reason="another GPU model"),)))
    assert first == ("NOT COMPARED  study[1] energy_j", "red")
    assert reason[0].strip() == "another GPU model"


def test_what_is_on_one_side_only_is_named() -> None:
    lines = comparison_lines(Report((), new=("a",), gone=("b", "c")))
    assert [text for text, _ in lines] == ["not in the baseline: a", "in the baseline, but not run: b, c"]


def test_a_mean_with_its_interval_and_limit() -> None:
    verdict = Verdict(metric="energy_j", max=1.0, value=1.5, interval=(1.4, 1.6), outcome="fail", reason="why")
    ((text, style),) = cycle_lines([CycleVerdicts("study[a]", "0", 3, (verdict,))])
    assert text == "OVER BUDGET   study[a] energy_j <= 1.00 J, mean of 3 cycles 1.50 J (1.40 … 1.60 J): why"
    assert style == "red"


def test_a_change_without_bounds_is_null_in_json() -> None:
    report = Report((row(1, "inconclusive", interval=(0.5, math.inf), smallest_change=math.inf),))
    (plain,) = comparison_data(report)["comparisons"]
    assert (plain["interval"], plain["smallest_change"]) == ([0.5, None], None)
    told = json.loads(study_json([], [], report, ["worse"]))
    assert (told["failures"], told["comparison"]["outcome"]) == (["worse"], "inconclusive")
