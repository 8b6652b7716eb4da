"""The usual ways to an energy: the counter at both ends, the counter interpolated, the integral of power.

Each gives the energy at the boundaries of a window's parts, counted from an arbitrary zero, and the standard deviation
of each boundary. They are here because meters without idle brackets need them, and to be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.grid import Floats
from pytest_llem.energy.estimators.knots import Knots
from pytest_llem.energy.trace import Samples

POWER_STEP_S = 0.1  # s; instant power is renewed about this often (H200, driver 580), when the trace does not show it
UNIFORM = np.sqrt(1 / 3)  # standard deviation of an error spread evenly over -1 to 1


@dataclass(frozen=True)
class Boundaries:
    """Energy (J) at each boundary of the parts, from any zero, and its standard deviation (J).

    ``sd`` is of errors that boundaries do not share, ``shared`` of the one that moves all of them together, each by so
    much (J, with its sign).
    """

    energy: Floats
    sd: Floats
    shared: Floats | None = None

    def part_sd(self) -> Floats:
        """Standard deviation (J) of the energy between each two neighbouring boundaries."""
        common = np.zeros(len(self.sd)) if self.shared is None else self.shared
        sd: Floats = np.sqrt(self.sd[1:] ** 2 + self.sd[:-1] ** 2 + np.diff(common) ** 2)
        return sd

    def sum_sd(self, ends: Floats) -> float:
        """Standard deviation (J) of the sum of ``ends[i]`` times the energy at each boundary i."""
        common = 0.0 if self.shared is None else float(ends @ self.shared)
        return float(np.sqrt(np.sum((ends * self.sd) ** 2) + common**2))


def counter_delta(samples: Samples, times: Floats) -> Boundaries:
    """The counter as a read at each boundary shows it (what Zeus and CodeCarbon do); shape of ``times``: (n,) in s."""
    before, counter = samples[:, 0], samples[:, 2]
    last = np.searchsorted(before, times, side="right") - 1
    changes = np.flatnonzero(np.diff(counter) != 0) + 1
    rises = np.diff(np.concatenate(([counter[0]], counter[changes])))
    step = np.array([_near(before[changes], rises, t) for t in times])
    return Boundaries(counter[last], step / 2 * UNIFORM * np.ones(len(times)))


def counter_interpolated(knots: Knots, times: Floats) -> Boundaries:
    """The counter taken as linear between its steps."""
    right = np.clip(np.searchsorted(knots.time, times), 1, len(knots.time) - 1)
    rise = knots.energy[right] - knots.energy[right - 1]
    width = knots.time[right] - knots.time[right - 1]
    share = (times - knots.time[right - 1]) / width
    # A load may begin or end right at the boundary, then all of the rise belongs to one side of it.
    outside = np.maximum(np.maximum(share, 1 - share), 0.0) * rise * UNIFORM
    phase = knots.time_sd * rise / width
    return Boundaries(
        np.interp(times, knots.time, knots.energy), np.hypot(outside if knots.rhythm != "continuous" else 0.0, phase)
    )


def power_integral(time: Floats, power: Floats, times: Floats) -> Boundaries:
    """The integral of sampled power (trapezoids), from the first sample on."""
    total = np.concatenate(([0.0], np.cumsum(np.diff(time) * (power[1:] + power[:-1]) / 2)))
    renewed = time[np.flatnonzero(np.diff(power) != 0) + 1]
    step = float(np.median(np.diff(renewed))) if len(renewed) > 2 else POWER_STEP_S
    step = max(step, float(np.median(np.diff(time))))
    # A sample is up to one step old, and power between two samples is not seen.
    around = [power[(time > t - 2 * step) & (time < t + 2 * step)] for t in times]
    jump = np.array([np.ptp(p) if len(p) else np.ptp(power) for p in around])
    level = np.interp(times, time, power)
    return Boundaries(np.interp(times, time, total), step * UNIFORM * np.maximum(jump, 0.02 * level))


def _near(time: Floats, rise: Floats, t: float) -> float:
    """The largest of the steps next to ``t``."""
    if not len(time):
        return 0.0
    i = int(np.searchsorted(time, t))
    return float(np.max(rise[max(0, i - 1) : i + 2]))
