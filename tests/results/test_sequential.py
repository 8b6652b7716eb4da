"""When to stop, and that looking early does not cost false alarms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_llem.results.sequential import Plan, relative_half_width, stop
from pytest_llem.results.statistics import changes, p_values


def test_looks() -> None:
    assert Plan(12).looks() == (3, 5, 8, 12)
    assert Plan(3).looks() == (3,)
    assert Plan(2).looks() == (2,)
    assert Plan(12).next_look(0) == 3
    assert Plan(12).next_look(5) == 8
    assert Plan(12).next_look(12) is None


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 12, 40])
def test_the_portions_make_one(most: int) -> None:
    plan = Plan(most)
    assert sum(plan.portion(look) for look in plan.looks()) == pytest.approx(1.0)
    assert list(plan.looks()) == sorted(set(plan.looks()))


def test_portion_of_a_look_that_lost_a_cycle() -> None:
    assert Plan(12).portion(4) == Plan(12).portion(5)
    assert Plan(12).portion(20) == Plan(12).portion(12)


def test_no_more_false_alarms_than_alpha_over_all_looks() -> None:
    plan, alpha, random = Plan(8), 0.05, np.random.default_rng(1)
    now, before = random.normal(0, 0.02, (3000, 8)), random.normal(0, 0.02, (3000, 8))
    alarmed = np.zeros(3000, bool)
    for look in plan.looks():
        level = alpha * plan.portion(look)
        found = changes(now[:, :look], before, alpha=level)
        p, _ = p_values(now[:, :look], before, found, alpha=level)
        alarmed |= (found.low > 0) & (p <= level)
    assert 0.005 < alarmed.mean() <= alpha


def test_stop() -> None:
    plan = Plan(12, precision=0.02)
    assert stop(plan, 2, [], ["pass"]) is None  # no look is due
    assert stop(plan, 3, [], ["pass", "inconclusive"]) is None
    assert stop(plan, 3, [], ["pass", "pass"]) == "decided"
    assert stop(plan, 3, [], ["fail", "inconclusive"]) == "decided"
    assert stop(plan, 12, [], ["inconclusive"]) == "limit"
    assert stop(plan, 5, [[1.0, 1.0001, 0.9999, 1.0, 1.0]]) == "precise"
    assert stop(plan, 5, [[1.0, 1.2, 0.9, 1.0, 1.0]]) is None
    assert stop(Plan(12), 5, [[1.0, 1.0, 1.0, 1.0, 1.0]]) is None


def test_relative_half_width() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = [1.0, 1.1, 0.95, 1.02]
    expected = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2 / np.mean(values)
    assert relative_half_width(values, 0.05) == pytest.approx(expected, rel=1e-5)
    assert math.isinf(relative_half_width([1.0], 0.05))
