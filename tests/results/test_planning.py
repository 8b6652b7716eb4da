"""Forecasts of what a number of cycles can show, against simulated studies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_llem.results.planning import POWER, cycles_needed, smallest_change
from pytest_llem.results.statistics import Design, changes, p_values

MARGIN = math.log(1.02)


def design(noise: float, cycles: int, sessions: float = 0.0) -> Design:
    one = np.ones(1)
    dof = (cycles - 1) * one
    return Design(noise**2 * one, dof, noise**2 * one, dof, sessions**2 * one, 5 * one, np.zeros(1, bool))


@pytest.mark.parametrize("cycles", [5, 8])
def test_smallest_change_is_found_as_often_as_promised(cycles: int) -> None:
    change = float(smallest_change(design(0.02, cycles), cycles, cycles, np.array([MARGIN]), alpha=0.01)[0])
    random = np.random.default_rng(3)
    now, before = random.normal(change, 0.02, (2000, cycles)), random.normal(0, 0.02, (2000, cycles))
    found = changes(now, before, alpha=0.01)
    p, _ = p_values(now, before, found, alpha=0.01)
    assert ((found.low > MARGIN) & (p <= 0.01)).mean() == pytest.approx(POWER, abs=0.04)


def test_more_tests_need_larger_changes() -> None:
    one, many = (
        smallest_change(design(0.02, 5), 5, 5, np.array([MARGIN]), alpha=0.01, tests=tests)[0] for tests in (1, 10_000)
    )
    assert many > one


def test_more_noise_needs_more_cycles() -> None:
    needed = [
        cycles_needed(design(noise, 5), 50, np.zeros(1), np.array([MARGIN]), alpha=0.01)[0][0]
        for noise in (0.005, 0.02)
    ]
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0] < needed[1] <= 50


def test_a_short_baseline_limits_what_more_cycles_now_can_show() -> None:
    alone, both = cycles_needed(design(0.03, 3), 3, np.zeros(1), np.array([MARGIN]), alpha=0.01)
    assert alone == [None]
    assert both[0] is not None


def test_a_change_at_the_tolerance_is_never_decided() -> None:
    assert cycles_needed(design(0.02, 5), 5, np.array([MARGIN]), np.array([MARGIN]), alpha=0.01) == ([None], [None])


def test_sessions_that_differ_cannot_be_outvoted_by_cycles() -> None:
    found = cycles_needed(design(0.001, 5, sessions=0.05), 5, np.zeros(1), np.array([MARGIN]), alpha=0.01)
    assert found == ([None], [None])
