"""Student's t distribution on arrays, so that the statistics need nothing beyond numpy."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

MOST_DOF = 1e4
"""More degrees of freedom than this are taken as this many; the quantiles then differ from the normal's by 0.01 %."""

_TINY = 1e-300
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def upper_tail(t: FloatArray, dof: FloatArray) -> FloatArray:
    """P(T > t) for each pair of ``t`` and degrees of freedom (at least 1); both of one shape, infinite t allowed."""
    dof = np.clip(dof, 1.0, MOST_DOF)
    with np.errstate(over="ignore", divide="ignore"):
        ratio = t * t / dof
        half = 0.5 * _incomplete_beta(dof / 2, 1 / (1 + ratio), 1 / (1 + 1 / ratio))
    return np.where(t >= 0, half, 1.0 - half)


def quantile(probability: float, dof: FloatArray) -> FloatArray:
    """The t below which T lies with ``probability`` (above one half), for each number of degrees of freedom."""
    inverse, logs = _quantile_table(probability)
    return np.asarray(np.exp(np.interp(1.0 / np.clip(dof, 1.0, MOST_DOF), inverse, logs)), dtype=np.float64)


@lru_cache(maxsize=256)
def _quantile_table(probability: float) -> tuple[FloatArray, FloatArray]:
    """(1 / dof, log of the quantile): smooth enough in 1 / dof to be interpolated to five digits."""
    if not 0.5 < probability < 1.0:
        raise ValueError(f"a probability between 0.5 and 1, not {probability}")
    inverse = np.linspace(1 / MOST_DOF, 1.0, 600)
    low, high = np.full(600, -20.0), np.full(600, 30.0)  # of the logarithm
    for _ in range(60):
        middle = (low + high) / 2
        above = upper_tail(np.exp(middle), 1 / inverse) > 1.0 - probability
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return inverse, (low + high) / 2


def _incomplete_beta(a: FloatArray, x: FloatArray, rest: FloatArray) -> FloatArray:
    """The regularised incomplete beta function I_x(a, 1/2); ``rest`` is 1 - x, given apart as x may be next to 1.

    Its continued fraction, evaluated by Lentz's method on the side of the mean where it converges fast
    (Abramowitz and Stegun 26.5.8; DLMF 8.17.22).
    """
    b = np.full(a.shape, 0.5)
    swap = x > (a + 1) / (a + b + 2)
    p, q, y, other = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, rest, x), np.where(swap, x, rest)
    with np.errstate(divide="ignore"):
        front = p * np.log(y) + q * np.log(other) + _log_gamma(p + q) - _log_gamma(p) - _log_gamma(q)
    value = np.exp(front) / p * _beta_fraction(p, q, y)
    return np.asarray(np.where(swap, 1 - value, value), dtype=np.float64)


def _beta_fraction(p: FloatArray, q: FloatArray, x: FloatArray) -> FloatArray:
    c = np.ones_like(x)
    d = 1 / _not_zero(1 - (p + q) * x / (p + 1))
    value = d.copy()
    for m in range(1, 300):
        even = m * (q - m) * x / ((p + 2 * m - 1) * (p + 2 * m))
        odd = -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value = value * c * d
        if bool(np.all(np.abs(c * d - 1) < 1e-13)):
            break
    return value


def _not_zero(value: FloatArray) -> FloatArray:
    return np.where(np.abs(value) < _TINY, _TINY, value)
