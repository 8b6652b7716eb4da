"""Reading ``METRIC:5%``."""

from __future__ import annotations

import math

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.results.rules import Rule, is_energy


def test_from_text() -> None:
    assert Rule.from_text("energy_per_output_token_j:3%") == Rule("energy_per_output_token_j", 0.03)
    assert Rule.from_text(" ttft_s.p95 : 2.5 % ") == Rule("ttft_s.p95", 0.025)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("energy_j", "METRIC:TOLERANCE%"),
        ("energy_j:3", "METRIC:TOLERANCE%"),
        ("energy_j:-3%", "METRIC:TOLERANCE%"),
        ("energy_per_token:3%", "is not a metric"),
        ("output_tokens:3%", "not what it cost"),
        ("energy_j:100%", "100 %"),
        ("ttft_s.p33:3%", "no statistic"),
    ],
)
def test_what_is_no_rule(text: str, said: str) -> None:
    with pytest.raises(LlemError, match=said):
        Rule.from_text(text)


def test_margin_is_the_tolerance_in_the_bad_direction() -> None:
    assert Rule("energy_j", 0.03).margin == pytest.approx(math.log(1.03))
    throughput = Rule("output_tokens_per_s", 0.03)
    assert throughput.sign == -1
    assert math.exp(throughput.sign * throughput.margin) == pytest.approx(0.97)


def test_is_energy() -> None:
    assert is_energy("mean_power_w")
    assert is_energy("energy_optimality")
    assert not is_energy("output_tokens_per_s")
