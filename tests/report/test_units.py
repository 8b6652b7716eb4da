"""Figures for people."""

from __future__ import annotations

import pytest

from pytest_llem.report.units import duration, interval, si


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


def test_interval_has_one_prefix():
    assert interval(0.0121, 0.0126, "J") == "12.1 … 12.6 mJ"
    assert interval(-0.5, 1.5, "J") == "-0.500 … 1.50 J"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0.4 s"), (59, "59 s"), (75, "1 min 15 s"), (7200, "2 h 0 min")])
def test_duration(seconds, text):
    assert duration(seconds) == text
