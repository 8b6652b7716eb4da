"""What a number of cycles can show: the smallest change they would find, and how many more a verdict needs.

Both follow from Student's t with the variances of the comparison at hand, so they are forecasts, not promises.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_llem.results.statistics import Design
from pytest_llem.results.tdist import FloatArray, quantile

POWER = 0.9
"""A change counts as one that can be found when it is found nine times in ten."""

MOST_CYCLES = 200


def smallest_change(design: Design, n: int, m: int, margin: FloatArray, *, alpha: float, tests: int = 1) -> FloatArray:
    """The smallest true log ratio (cells,) that fails with probability ``POWER``: infinite where nothing would.

    It has to lift the interval off the ``margin`` and, among ``tests`` cells, the p-value below the corrected level."""
    error, dof = design.spread(n, m)
    return _reach(error, dof, margin, alpha, tests)


def _reach(error: FloatArray, dof: FloatArray, margin: FloatArray, alpha: float, tests: int) -> FloatArray:
    beyond = margin + quantile(1 - alpha, dof) * error
    significant = quantile(1 - alpha / tests, dof) * error
    return np.maximum(beyond, significant) + quantile(POWER, dof) * error


def cycles_needed(
    design: Design, m: int, shift: FloatArray, margin: FloatArray, *, alpha: float, tests: int = 1
) -> tuple[list[int | None], list[int | None]]:
    """How many cycles would decide each cell, if the change seen were the true one.

    First: cycles now, with the baseline's ``m`` as they are. Second: cycles on both sides. None where ``MOST_CYCLES``
    are not enough: the change lies too near the tolerance, or sessions differ too much among themselves."""
    count = np.arange(2, MOST_CYCLES + 1, dtype=np.float64)[:, None]
    alone = _first(design, count, np.full_like(count, m), shift, margin, alpha, tests)
    both = _first(design, count, count, shift, margin, alpha, tests)
    return alone, both


def _first(
    design: Design,
    n: FloatArray,
    m: FloatArray,
    shift: FloatArray,
    margin: FloatArray,
    alpha: float,
    tests: int,
) -> list[int | None]:
    planned = replace(design, now_dof=np.maximum(design.now_dof, n - 1), base_dof=np.maximum(design.base_dof, m - 1))
    error, dof = planned.spread(n, m)
    fails = shift >= _reach(error, dof, margin, alpha, tests)
    passes = shift + (quantile(1 - alpha, dof) + quantile(POWER, dof)) * error <= margin
    decided = fails | passes
    first = decided.argmax(axis=0)
    return [int(n[row, 0]) if decided[row, cell] else None for cell, row in enumerate(first)]
