"""The comparison of two sets of cycles: against scipy, against what must not change, and against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llem.results.statistics import (
    ARRANGEMENTS,
    Floor,
    changes,
    holm,
    p_values,
    permutation_resolution,
    permutation_test,
)


def draws(cells: int, cycles: int, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, noise, (cells, cycles))


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 5), (5, 5), (2, 6)])
def test_exact_permutation_test_is_scipys(n: int, m: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    now, before = draws(6, n, seed=1) + 0.02, draws(6, m, seed=2)
    expected = [
        stats.permutation_test(
            (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), alternative="greater", vectorized=True
        ).pvalue
        for a, b in zip(now, before, strict=True)
    ]
    assert permutation_test(now, before) == pytest.approx(expected)


def test_drawn_permutations_come_near_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    now, before = draws(4, 10, seed=1) + 0.01, draws(4, 10, seed=2)
    expected = [
        stats.permutation_test(
            (a, b),
            lambda x, y, axis: x.mean(axis) - y.mean(axis),
            alternative="greater",
            vectorized=True,
            n_resamples=20_000,
            rng=np.random.default_rng(0),
        ).pvalue
        for a, b in zip(now, before, strict=True)
    ]
    assert permutation_test(now, before) == pytest.approx(expected, abs=0.02)


def test_resolution() -> None:
    assert permutation_resolution(3, 3) == 1 / 20
    assert permutation_resolution(5, 5) == 1 / 252
    assert permutation_resolution(12, 12) == 1 / (ARRANGEMENTS + 1)


def test_welch_stands_in_where_the_permutation_test_cannot_reach_the_level() -> None:
    stats = pytest.importorskip("scipy.stats")
    now, before = draws(5, 3, seed=3) + 0.03, draws(5, 3, seed=4)
    p, exact = p_values(now, before, changes(now, before, alpha=0.01), alpha=0.01)
    assert not exact
    assert p == pytest.approx(stats.ttest_ind(now, before, axis=1, equal_var=False, alternative="greater").pvalue)
    _, exact = p_values(now, before, changes(now, before, alpha=0.05), alpha=0.05)
    assert exact


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 5), (3, 12), (12, 12)])
def test_interval_is_wrong_as_often_as_it_says(n: int, m: int) -> None:
    found = changes(draws(4000, n, seed=5), draws(4000, m, seed=6), alpha=0.01)
    for share in ((found.low > 0).mean(), (found.high < 0).mean()):
        assert 0.003 < share < 0.018  # 1 % +- five standard deviations of 4,000 draws


@given(noise=st.floats(1e-3, 10), shift=st.floats(-1, 1))
@settings(max_examples=20, deadline=None)
def test_interval_moves_and_grows_with_the_data(noise: float, shift: float) -> None:
    now, before = draws(3, 5, seed=7), draws(3, 4, seed=8)
    one = changes(now, before, alpha=0.01)
    other = changes(noise * now + shift, noise * before, alpha=0.01)
    for name in ("low", "high", "shift"):
        assert getattr(other, name) == pytest.approx(noise * getattr(one, name) + shift, abs=1e-9)


def test_same_data_same_interval() -> None:
    now, before = draws(3, 5, seed=9), draws(3, 5, seed=10)
    assert (changes(now, before, alpha=0.01).low == changes(now, before, alpha=0.01).low).all()
    alone = changes(now[1:2], before[1:2], alpha=0.01)
    assert alone.low[0] == pytest.approx(changes(now, before, alpha=0.01).low[1])


def test_one_cycle_without_a_floor_says_nothing() -> None:
    found = changes(draws(2, 1), draws(2, 5), alpha=0.01)
    assert np.isneginf(found.low).all()
    assert np.isposinf(found.high).all()


def known(cells: int, within: float, between: float = 0.0) -> Floor:
    ones = np.ones(cells)
    return Floor(within * ones, 20 * ones, between * ones, 5 * ones)


def test_one_cycle_with_a_floor_has_an_interval() -> None:
    found = changes(draws(2, 1), draws(2, 5), alpha=0.01, floor=known(2, 0.02))
    assert np.isfinite(found.low).all()
    assert (found.high - found.low > 0.02).all()


def test_floor_narrows_three_cycles_and_widens_lucky_ones() -> None:
    now, before = draws(500, 3, seed=11), draws(500, 3, seed=12)
    plain, pooled = (changes(now, before, alpha=0.01, floor=f) for f in (None, known(500, 0.02)))
    assert np.median(pooled.high - pooled.low) < np.median(plain.high - plain.low)
    lucky = changes(now / 1e4, before / 1e4, alpha=0.01, floor=known(500, 0.02))
    assert (lucky.high - lucky.low > 0.02).all()


def test_floor_far_below_the_spread_is_not_believed() -> None:
    now, before = draws(50, 5, noise=0.05, seed=13), draws(50, 5, noise=0.05, seed=14)
    plain, floored = (changes(now, before, alpha=0.01, floor=f) for f in (None, known(50, 0.001)))
    assert (plain.low == floored.low).all()


def test_differences_between_sessions_do_not_shrink_with_cycles() -> None:
    now, before = draws(20, 12, noise=1e-4), draws(20, 12, noise=1e-4, seed=1)
    found = changes(now, before, alpha=0.01, floor=known(20, 0.0, between=0.01))
    assert found.standard_error == pytest.approx(np.full(20, 0.01 * 2**0.5), rel=0.01)


def test_figures_without_any_spread() -> None:
    same = np.zeros((2, 5))
    found = changes(same + np.array([[0.0], [0.1]]), same, alpha=0.01)
    assert found.low.tolist() == found.high.tolist() == found.shift.tolist()
    p, _ = p_values(same + np.array([[0.0], [0.1]]), same, found, alpha=0.01)
    assert p.tolist() == [1.0, pytest.approx(1 / 252)]


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1.0, p * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
