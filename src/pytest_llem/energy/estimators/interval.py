"""How uncertain an energy is: the constants, where they come from, and Student's t without scipy."""

from __future__ import annotations

import math

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

_T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # any table of Student's t, df 1 to 10


def student_t975(freedom: int) -> float:
    """97.5 % quantile of Student's t; beyond the table by Abramowitz and Stegun's expansion 26.7.5 (error < 1e-3)."""
    if freedom < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if freedom <= len(_T975):
        return _T975[freedom - 1]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def window_interval(energy: float, sd: float, variation: float = VARIATION) -> tuple[float, float]:
    """95 % interval (J) of one window: the estimate's own ``sd`` (J), the meter's scale, and how windows differ.

    No energy is negative."""
    half = Z95 * math.sqrt(sd**2 + (SCALE * energy) ** 2 + (variation * energy) ** 2)
    return max(0.0, energy - half), max(0.0, energy + half)
