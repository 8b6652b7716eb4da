"""Repeats of one experiment become one figure with one interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_llem.energy.estimators.interval import SCALE, Z95, student_t975
from pytest_llem.energy.estimators.result import Figure, Interval

Part = tuple[float, Interval, float]
"""Energy (J), its 95 % interval (J), units of work done."""


def combine(parts: Sequence[Part]) -> Figure:
    """Total energy and energy per unit of work of ``parts``, each with a 95 % interval.

    Work-weighted, so the figure is total energy over total work. Its interval has a part that repeats share (the
    meter's scale, which no repeating makes smaller) and a part that differs between repeats. The latter is the larger
    of what the repeats show (standard error times Student's t) and what the intervals of the single windows predict, so
    that two repeats that agree by chance do not give an interval of nothing.
    Raises ValueError when there is no part, or one without work or with numbers that are not finite.
    """
    if not parts:
        raise ValueError("no repeats to combine")
    energy = np.array([e for e, _, _ in parts])
    half = np.array([max(high - e, e - low) for e, (low, high), _ in parts])  # one side may end at 0
    work = np.array([w for _, _, w in parts])
    if not (np.all(np.isfinite(energy)) and np.all(np.isfinite(half)) and np.all(np.isfinite(work))):
        raise ValueError("a repeat is not finite")
    if not np.all(work > 0):
        raise ValueError("a repeat without work has no energy per unit of work")
    total, units, n = float(energy.sum()), float(work.sum()), len(parts)
    value = total / units
    shared = Z95 * SCALE * abs(total)
    own = float(np.sqrt(np.sum(np.maximum(half**2 - (Z95 * SCALE * energy) ** 2, 0.0))))
    if n > 1:
        # The variance of a ratio of sums (Cochran, Sampling Techniques, 6.4): of what each repeat is off the mean rate.
        spread = math.sqrt(n / (n - 1) * float(np.sum((energy - value * work) ** 2)))
        own = max(own, student_t975(n - 1) * spread)
    reach = math.hypot(shared, own)
    return Figure(
        value=value,
        low=max(0.0, total - reach) / units,
        high=(total + reach) / units,
        energy_j=total,
        energy_ci95=(max(0.0, total - reach), total + reach),
        work=units,
        repeats=n,
    )
