"""One figure and one interval from repeats."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llem.energy.estimators import combine
from pytest_llem.energy.estimators.interval import Z95, window_interval


def part(energy: float, work: float, sd: float = 0.0) -> tuple[float, tuple[float, float], float]:
    return energy, window_interval(energy, sd), work


def test_one_repeat_keeps_its_interval() -> None:
    figure = combine([part(100.0, 50.0, 1.0)])
    low, high = window_interval(100.0, 1.0)
    assert figure.value == 2.0
    assert figure.repeats == 1
    assert (figure.low, figure.high) == pytest.approx((low / 50, high / 50))


def test_work_weighs() -> None:
    figure = combine([part(100.0, 50.0), part(300.0, 150.0)])
    assert (figure.value, figure.energy_j, figure.work) == (2.0, 400.0, 200.0)
    assert figure.low * 200 == pytest.approx(figure.energy_ci95[0])


def test_repeats_that_agree_narrow_the_interval_but_not_below_the_scale() -> None:
    one, nine, many = (combine([part(100.0, 50.0)] * n) for n in (1, 9, 10_000))
    assert one.high - one.low > nine.high - nine.low > many.high - many.low > 2 * Z95 * 0.003 * 2.0 * 0.99


def test_spread_between_repeats_widens_it() -> None:
    calm = combine([part(e, 50.0) for e in (100.0, 100.1, 99.9)])
    wild = combine([part(e, 50.0) for e in (100.0, 110.0, 90.0)])
    assert wild.high - wild.low > 5 * (calm.high - calm.low)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(2000):
        scale = 1 + rng.normal(0.0, 0.003)
        energies = 100.0 * scale * (1 + rng.normal(0.0, 0.02, 4))
        figure = combine([part(float(e), 50.0) for e in energies])
        held.append(figure.low <= 2.0 <= figure.high)
    assert 0.93 <= np.mean(held) <= 0.99


@pytest.mark.parametrize("parts", [[], [(1.0, (0.9, 1.1), 0.0)], [(float("nan"), (0.9, 1.1), 1.0)]])
def test_what_cannot_be_combined_is_refused(parts: list[tuple[float, tuple[float, float], float]]) -> None:
    with pytest.raises(ValueError, match="repeat"):
        combine(parts)
