"""The usual ways to an energy: the counter at both ends, the counter interpolated, the integral of power.

Each gives the energy at the boundaries of a window's parts, counted from an arbitrary zero, and the standard deviation
of each boundary. They are here because meters without idle brackets need them, and to be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.knots import Knots
from pytest_llem.energy.trace import Floats, Samples, Trace

POWER_STEP_S = 0.1  # s; instant power is renewed about this often (H200, driver 580), when the trace does not show it
PAUSE = 3.0  # one between samples so many times longer than usual was not meant, and hides what came in it
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
        common = np.zeros(1) if self.shared is None else np.diff(self.shared)
        return np.asarray(np.sqrt(self.sd[1:] ** 2 + self.sd[:-1] ** 2 + common**2))

    def sum(self, signs: Floats) -> tuple[float, float]:
        """The sum of ``signs[i]`` times the energy at each boundary i, and its standard deviation (J)."""
        common = 0.0 if self.shared is None else float(signs @ self.shared)
        return float(signs @ self.energy), float(np.hypot(np.linalg.norm(signs * self.sd), common))


def counter_delta(samples: Samples, times: Floats) -> Boundaries:
    """The counter as the reads nearest outside a window show it (what Zeus and CodeCarbon do).

    ``times`` (n,) in s are the window's ends and the boundaries between them, where the counter is taken as linear.
    """
    read, counter = samples[:, 0], samples[:, 2]
    after = np.clip(np.searchsorted(read, times), 1, len(read) - 1)
    now = np.interp(times, read, counter)
    unseen = np.maximum(now - counter[after - 1], counter[after] - now)
    level, ends = now.copy(), [0, -1]
    level[ends] = counter[[np.searchsorted(read, times[0], side="right") - 1, np.searchsorted(read, times[-1])]]
    # Outside the window power is taken to be no higher than the mean between the two reads around its edge.
    unseen[ends] = np.abs(now - level)[ends]
    return Boundaries(level, UNIFORM * np.hypot(unseen, _steps_beside(read, counter, times, level[-1] - level[0])))


def _steps_beside(read: Floats, counter: Floats, times: Floats, rise: float) -> Floats:
    """The largest step (J) that the counter may take about each of ``times``, in which it rises by ``rise`` (J)."""
    change = np.flatnonzero(np.diff(counter))
    usual = float(np.median(np.diff(read[change]))) if len(change) > 1 else np.inf
    # A change seen after a pause in the reads holds several steps.
    steps = np.diff(counter)[change] * np.minimum(1.0, usual / np.diff(read)[change])
    beside = [steps[max(0, i - 1) : i + 2] for i in np.searchsorted(read[change + 1], times)]
    mean = rise * min(1.0, usual / (times[-1] - times[0]))
    return np.array([np.max(near, initial=mean) for near in beside])


def counter_interpolated(knots: Knots, times: Floats) -> Boundaries:
    """The counter taken as linear between its steps."""
    right = np.clip(np.searchsorted(knots.time, times), 1, len(knots.time) - 1)
    rise = knots.energy[right] - knots.energy[right - 1]
    width = knots.time[right] - knots.time[right - 1]
    share = (times - knots.time[right - 1]) / width
    # A load may begin or end right at the boundary, then all of the rise belongs to one side of it.
    coarse = (knots.rhythm != "continuous") | (width > PAUSE * knots.period)
    jump = np.maximum(np.maximum(share, 1 - share), 0.0) * rise * UNIFORM * coarse
    return Boundaries(np.interp(times, knots.time, knots.energy), np.hypot(jump, knots.time_sd * rise / width))


def power_integral(trace: Trace, times: Floats) -> Boundaries:
    """The integral of sampled power (trapezoids), from the first sample on."""
    time, power = trace.power[:, 0], trace.watts
    total = running_total(time, (power[1:] + power[:-1]) / 2)
    step = renewal_s(time, power, POWER_STEP_S)
    # A sample is up to one step old, and power between two samples is not seen.
    around = [power[(time > t - 2 * step) & (time < t + 2 * step)] for t in times]
    jump = np.array([np.ptp(near if len(near) else power) for near in around])
    sd = step * UNIFORM * np.maximum(jump, 0.02 * np.interp(times, time, power))
    lost = running_total(time, unseen_power(time, power, step))
    return Boundaries(np.interp(times, time, total), sd, np.interp(times, time, lost))


def unseen_power(time: Floats, power: Floats, usual_s: float) -> Floats:
    """Standard deviation (W) of power between each two samples where a pause hides it: it may have fallen to nothing,
    or been the most that was seen."""
    mean = (power[1:] + power[:-1]) / 2
    return np.asarray(UNIFORM * np.maximum(mean, power.max() - mean) * (np.diff(time) > PAUSE * usual_s))


def running_total(time: Floats, rate: Floats) -> Floats:
    """The integral of ``rate[i]`` from ``time[i]`` to ``time[i + 1]``, up to each time."""
    return np.concatenate(([0.0], np.cumsum(np.diff(time) * rate)))


def renewal_s(time: Floats, power: Floats, unknown_s: float = 0.0) -> float:
    """How often sampled power takes a new value (s), ``unknown_s`` where it hardly does; no less than a sample."""
    renewed = time[np.flatnonzero(np.diff(power)) + 1]
    shown_s = float(np.median(np.diff(renewed))) if len(renewed) > 2 else unknown_s
    return max(shown_s, float(np.median(np.diff(time))))
