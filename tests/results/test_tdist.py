"""Student's t against scipy's."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llem.results.tdist import quantile, upper_tail

stats = pytest.importorskip("scipy.stats")
DOFS = np.array([1.0, 1.5, 2.0, 3.3, 4.0, 8.0, 22.0, 100.0, 9999.0])


@pytest.mark.parametrize("t", [-5.0, -1.0, 0.0, 1e-6, 0.5, 1.0, 3.0, 10.0, 50.0])
def test_upper_tail(t: float) -> None:
    assert upper_tail(np.full(DOFS.shape, t), DOFS) == pytest.approx(stats.t.sf(t, DOFS), rel=1e-9, abs=1e-290)


def test_upper_tail_of_infinity() -> None:
    assert upper_tail(np.array([np.inf, -np.inf]), np.array([3.0, 3.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("probability", [0.7, 0.9, 0.975, 0.99, 0.999, 0.99999])
def test_quantile(probability: float) -> None:
    assert quantile(probability, DOFS) == pytest.approx(stats.t.ppf(probability, DOFS), rel=1e-5)


@pytest.mark.parametrize("probability", [0.5, 0.2, 1.0])
def test_quantile_of_a_probability_that_has_none(probability: float) -> None:
    with pytest.raises(ValueError, match="between"):
        quantile(probability, DOFS)
