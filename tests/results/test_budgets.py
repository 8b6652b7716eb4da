"""Budgets are judged by the whole interval, and never pass on what was not measured."""

from __future__ import annotations

import pytest

from pytest_llem.results.budgets import decide, judge
from pytest_llem.study.budget import Budget
from tests.results.samples import make_result


@pytest.mark.parametrize(
    ("value", "interval", "low", "high", "expected"),
    [
        (1.0, (0.9, 1.1), None, 1.2, "pass"),
        (1.0, (0.9, 1.1), None, 1.1, "pass"),
        (1.0, (0.9, 1.1), None, 1.05, "inconclusive"),
        (1.0, (0.9, 1.1), None, 0.95, "inconclusive"),
        (1.0, (0.9, 1.1), None, 0.89, "fail"),
        (1.0, (0.9, 1.1), 0.9, None, "pass"),
        (1.0, (0.9, 1.1), 1.0, None, "inconclusive"),
        (1.0, (0.9, 1.1), 1.11, None, "fail"),
        (1.0, (0.9, 1.1), 0.5, 2.0, "pass"),
        (5.0, (4.9, 5.1), 0.5, 2.0, "fail"),
        (3.0, None, None, 3.0, "pass"),
        (3.0, None, None, 2.999, "fail"),
        (1.0, (0.0, 3.0), None, 0.0, "fail"),
        (1.0, (0.0, 3.0), None, 0.1, "inconclusive"),
        (1.0, (-1.0, 3.0), None, 0.0, "inconclusive"),
        (None, None, None, 1.0, "inconclusive"),
    ],
)
def test_verdict_follows_from_the_whole_interval(value, interval, low, high, expected):
    assert decide(value, interval, low, high)[0] == expected


def test_zero_joules_is_a_limit_that_fails():
    (verdict,) = judge(make_result(), [Budget(metric="energy_per_output_token_j", max=0.0)])
    assert verdict.outcome == "fail"
    assert verdict.value == pytest.approx(0.1)


@pytest.mark.parametrize("most", [1e9, 1e-9])
def test_an_invalid_measurement_decides_nothing_about_energy(most):
    result = make_result(valid=False, reasons=("counter_reset",))
    energy, speed = judge(result, [Budget(metric="energy_j", max=most), Budget(metric="output_tokens_per_s", min=1.0)])
    assert energy.outcome == "inconclusive"
    assert "counter_reset" in (energy.reason or "")
    assert speed.outcome == "pass"


def test_a_verdict_on_an_estimate_says_so():
    result = make_result(measured=False)
    energy, speed = judge(result, [Budget(metric="energy_j", max=1e9), Budget(metric="output_tokens_per_s", min=1.0)])
    assert (energy.outcome, energy.reason) == ("pass", "the energy is an estimate")
    assert (speed.outcome, speed.reason) == ("pass", None)


def test_a_figure_that_is_missing_is_undecided_and_says_why():
    result = make_result(missing={"ttft_s": "the backend did not time first tokens"})
    (verdict,) = judge(result, [Budget(metric="ttft_s.p95", max=1.0)])
    assert (verdict.outcome, verdict.value) == ("inconclusive", None)
    assert verdict.reason == "the backend did not time first tokens"
