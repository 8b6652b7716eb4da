"""Figures for people."""

from __future__ import annotations

import pytest

from pytest_llem.report.units import duration, figure, figures, interval, number, si


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234, "12.3 mJ"),
        (1.0, "1.00 J"),
        (999.7, "1.00 kJ"),
        (0.0009996, "1.00 mJ"),
        (2.5e-6, "2.50 µJ"),
        (4.2e-10, "0.420 nJ"),
        (0.0, "0 J"),
        (-5.0, "-5.00 J"),
        (123456.0, "123 kJ"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_si(value, text):
    assert si(value, "J") == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (0.01234, "0.0123"),
        (0.0, "0"),
        (0.9997, "1.00"),
        (None, "–"),
        (float("nan"), "–"),
        (3e-9, "3.00e-09"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown


def test_interval_has_one_prefix():
    assert interval(0.0121, 0.0126, "J") == "12.1 … 12.6 mJ"
    assert interval(-0.5, 1.5, "J") == "-0.500 … 1.50 J"


def test_a_metric_knows_its_unit():
    assert figure(0.05, "energy_per_output_token_j") == "50.0 mJ"
    assert figure(12345.0, "output_tokens_per_s") == "12,345/s"
    assert figure(0.4, "mfu") == "0.400"
    assert figure(0.25, "ttft_s.p95") == "250 ms"
    assert figures((1000.0, 1200.0), "output_tokens_per_s") == "1,000 … 1,200/s"
    assert figures(None, "energy_j") == "–"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0.4 s"), (59, "59 s"), (75, "1 min 15 s"), (7200, "2 h 0 min")])
def test_duration(seconds, text):
    assert duration(seconds) == text
