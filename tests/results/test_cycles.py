"""Budgets over a configuration's cycles."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llem.results.budgets import judge
from pytest_llem.results.cycles import error_after, judge_configurations, judge_cycles, mean_over_cycles
from pytest_llem.results.model import ExperimentResult
from pytest_llem.study.budget import Budget
from tests.results.runs import cycles

METRIC = "energy_per_output_token_j"
EXACT = {"energy_per_output_token_j_ci95": None}


def verdict(results: list[ExperimentResult], **limits: float) -> tuple[str, str | None]:
    (found,) = judge_cycles(results, [Budget(metric=METRIC, **limits)])
    return found.outcome, found.reason


def test_interval_is_students() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = [1.0, 1.1, 0.9, 1.05]
    mean, interval = mean_over_cycles(cycles(values, **EXACT), METRIC)
    assert mean == pytest.approx(np.mean(values))
    assert interval == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)), rel=1e-5)


def test_the_meters_part_does_not_shrink_with_cycles() -> None:
    _, interval = mean_over_cycles(cycles([1.0] * 9, energy_per_output_token_j_ci95=(0.97, 1.03)), METRIC)
    assert interval == pytest.approx((0.97, 1.03))


def test_one_cycle_has_its_own_interval() -> None:
    assert mean_over_cycles(cycles([1.0], energy_per_output_token_j_ci95=(0.9, 1.1)), METRIC) == (1.0, (0.9, 1.1))
    assert mean_over_cycles([], METRIC) == (None, None)


def test_no_interval_reaches_below_nothing() -> None:
    _, interval = mean_over_cycles(cycles([0.01, 0.2], **EXACT), METRIC)
    assert interval is not None
    assert interval[0] == 0.0 < interval[1]


def test_three_verdicts() -> None:
    results = cycles([1.0, 1.1, 0.9], **EXACT)  # mean 1, interval 0.75 to 1.25
    assert verdict(results, max=1.3) == ("pass", None)
    assert verdict(results, max=0.7)[0] == "fail"
    assert verdict(results, max=1.1)[0] == "inconclusive"
    assert verdict(results, min=1.3)[0] == "fail"


def test_more_cycles_decide_what_one_cannot() -> None:
    values = [1.0, 1.04, 0.97, 1.02, 0.99, 1.01]
    assert verdict(cycles(values[:3], **EXACT), max=1.04)[0] == "inconclusive"
    assert verdict(cycles(values, **EXACT), max=1.04)[0] == "pass"


def test_invalid_cycles_do_not_count_and_are_named() -> None:
    bad = cycles([50.0], valid=False, reasons=("gpu_shared",), **EXACT)
    outcome, reason = verdict([*cycles([1.0, 1.0, 1.0], **EXACT), *bad], max=1.1)
    assert (outcome, reason) == ("pass", "1 of 4 cycles are invalid and left out")
    assert verdict(cycles([1.0, 1.0], valid=False, reasons=("gpu_shared",), **EXACT), max=1.1) == (
        "inconclusive",
        "every cycle is invalid: gpu_shared",
    )


@pytest.mark.parametrize(("most", "outcome"), [(1.1, "pass"), (0.5, "fail")])
def test_a_verdict_on_an_estimate_says_so(most: float, outcome: str) -> None:
    assert verdict(cycles([1.0, 1.0], measured=False, **EXACT), max=most) == (outcome, "the energy is an estimate")


def test_less_error_makes_a_wider_interval() -> None:
    results = cycles([1.0, 1.1, 0.9], energy_per_output_token_j_ci95=(0.9, 1.1))
    _, usual = mean_over_cycles(results, METRIC)
    _, strict = mean_over_cycles(results, METRIC, error_after(3, 12))
    assert usual is not None
    assert strict is not None
    assert strict[0] < usual[0] < usual[1] < strict[1]


def test_configurations_are_judged_by_their_own_budgets_apart_for_each_run() -> None:
    judged = [
        result.model_copy(update={"verdicts": judge(result, [Budget(metric=METRIC, max=1.3)])})
        for result in cycles([1.0, 1.1, 0.9], **EXACT)
    ]
    other = judged[0].model_copy(update={"run_id": "another"})
    (found,) = judge_configurations([*judged, other])
    assert (found.label, found.cycles) == ("study[pytorch-bs1]", 3)
    assert [v.outcome for v in found.verdicts] == ["pass"]
    (strict,) = judge_configurations(judged, {"run": 12})
    assert [v.outcome for v in strict.verdicts] == ["inconclusive"]


def test_a_figure_that_is_missing_says_why() -> None:
    results = [
        r.model_copy(update={"energy_per_output_token_j": None}) for r in cycles([1.0], missing={METRIC: "no meter"})
    ]
    assert verdict(results, max=1.0) == ("inconclusive", "no meter")
