"""How uncertain an energy is: the constants, where they come from, and repeats made into one figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_llem.results.tdist import quantile

Interval = tuple[float, float]
Part = tuple[float, Interval, float]
"""Energy (J), its 95 % interval (J), units of work done."""

Z95 = 1.96
"""97.5 % quantile of the normal distribution."""

INSTRUMENT_J = 0.2
"""Standard deviation (J) of one bracketed energy: 0.1 J far from the power limit and 0.4 J near it, by repeating the
estimate on other reads of the same recordings (H200, driver 580)."""

SCALE = 0.003
"""Relative standard deviation that repeats of one experiment share: the counter's own error as far as two sources show
it (counter against integrated power over 10 s of steady load, H200: 0.1 %; idle: 0.2 %)."""

VARIATION = 0.006
"""Relative standard deviation between windows of one workload (temperature, clocks): 0.2 to 0.8 % from window to
window on an H200, whatever the window's length. One window alone cannot show it, so its interval assumes it."""

PART_VARIATION = 0.015
"""The same for a part of a window: work after other work differs from the same work alone (H200: decoding just after a
prefill at the power limit costs 0 to 3 % less per token than decoding from idle)."""


@dataclass(frozen=True)
class Figure:
    """Repeats of one experiment as one number.

    ``value`` is energy per unit of work (J), ``low`` to ``high`` its 95 % interval; ``energy_j`` and ``energy_ci95``
    are the same for all repeats together; ``work`` is their units, ``repeats`` their number.
    """

    value: float
    low: float
    high: float
    energy_j: float
    energy_ci95: Interval
    work: float
    repeats: int


def window_interval(energy: float, sd: float, variation: float = VARIATION) -> Interval:
    """95 % interval (J) of one window: the estimate's own ``sd`` (J), the meter's scale, and how windows differ.

    No energy is negative."""
    half = Z95 * math.sqrt(sd**2 + (SCALE * energy) ** 2 + (variation * energy) ** 2)
    return max(0.0, energy - half), max(0.0, energy + half)


def combine(parts: Sequence[Part]) -> Figure:
    """Total energy and energy per unit of work of ``parts``, each with a 95 % interval.

    The interval has a part that repeats share (the meter's scale, which no repeating makes smaller) and a part that
    differs between repeats. The latter is the larger of what the repeats show (standard error times Student's t) and
    what the intervals of the single windows predict, so that two repeats that agree by chance do not give an interval
    of nothing. Raises ValueError when there is no part, or one without work or with numbers that are not finite.
    """
    if not parts:
        raise ValueError("no repeats to combine")
    # One side of an interval may have been cut off at 0, so the longer one counts.
    energy, half, work = np.array([(e, max(high - e, e - low), units) for e, (low, high), units in parts]).T
    if not np.all(np.isfinite([energy, half, work])):
        raise ValueError("a repeat is not finite")
    if not np.all(work > 0):
        raise ValueError("a repeat without work has no energy per unit of work")
    total, units, n = float(energy.sum()), float(work.sum()), len(parts)
    own = float(np.sqrt(np.sum(np.maximum(half**2 - (Z95 * SCALE * energy) ** 2, 0.0))))
    if n > 1:
        # The variance of a ratio of sums (Cochran, Sampling Techniques, 6.4): of what each repeat is off the mean rate.
        spread = math.sqrt(n / (n - 1) * float(np.sum((energy - total / units * work) ** 2)))
        own = max(own, float(quantile(0.975, np.array(n - 1.0))) * spread)
    reach = math.hypot(Z95 * SCALE * total, own)
    low, high = max(0.0, total - reach), total + reach
    return Figure(total / units, low / units, high / units, total, (low, high), units, n)
