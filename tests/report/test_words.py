"""What is said of budgets and comparisons."""

from __future__ import annotations

import pytest

from pytest_llem.report.words import change, judged, limits, percent, plural
from pytest_llem.results.model import Verdict
from tests.report.test_markdown import DEARER, comparison


def test_arrows() -> None:
    assert change(DEARER) == "↑ +10.0 % (+8.0 … +12.0)"
    assert change(comparison(ratio=0.9, interval=(0.8, 0.95))) == "↓ -10.0 % (-20.0 … -5.0)"
    assert change(comparison()) == "→ +0.00 % (-1.0 … +1.0)"
    assert change(comparison(ratio=None, interval=None)) == "–"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.031, "+3.1"), (1.0049, "+0.49"), (0.5, "-50.0"), (3.0, "+200"), (1e9, "∞"), (float("inf"), "∞")],
)
def test_percent(ratio: float, text: str) -> None:
    assert percent(ratio) == text


def test_counts() -> None:
    assert plural(1, "cell") == "1 cell"
    assert plural(2000, "cell") == "2,000 cells"


def test_limits_are_written_as_a_budget_is() -> None:
    assert limits(Verdict(metric="energy_j", max=0.5, value=1.0, outcome="fail")) == "<= 500 mJ"
    assert limits(Verdict(metric="mfu", max=0.9, min=0.1, value=1.0, outcome="fail")) == "<= 0.900 and >= 0.100"


def test_a_verdict_says_what_was_found_and_why() -> None:
    fields = {"metric": "output_tokens_per_s", "min": 12000, "value": 11950.0, "outcome": "inconclusive"}
    verdict = Verdict.model_validate({**fields, "interval": (11000, 13000), "reason": "too wide"})
    assert judged(verdict) == "output_tokens_per_s >= 12,000/s, found 11,950/s (11,000 … 13,000/s): too wide"
    assert judged(verdict, "mean of 3 cycles").split(", ", 1)[1].startswith("mean of 3 cycles 11,950/s")
