"""The energy of a whole window, from steps of the counter in the idle time before and after it.

``E = median over (a, b) of E_b - E_a - n * S + P * (t1 - t0)``: ``a`` among the last steps before the window, ``b``
among the first after it, ``n`` the steps from a to b, ``S`` the idle step (J), ``P`` = S / period the idle power. The
meter's lag, the grid's phase and the polling cancel, because power is the same, idle, at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.grid import Ints
from pytest_llem.energy.estimators.interval import INSTRUMENT_J
from pytest_llem.energy.estimators.knots import Knots, idle_step
from pytest_llem.energy.estimators.lag import H200_S, Lag

SETTLE_LAGS = 4.5  # after so many time constants a one-pole has forgotten all but 1 %; the median takes the rest
IDLE_NOISE = 0.003  # relative standard deviation of idle power from a few steps
UNALIKE = 0.25  # a step that differs by more from the others was not idle
FEWEST = 3  # knots on each side, for a counter whose steps the reads did not resolve


@dataclass(frozen=True)
class Bracket:
    """``energy`` and its ``sd`` (J, the instrument's part); idle power (W); what the counter shows at t0 (J)."""

    energy: float
    sd: float
    idle_power: float
    start_level: float


def bracketed(knots: Knots, t0: float, t1: float, lag: Lag) -> Bracket | None:
    """The bracketed energy of ``t0`` to ``t1`` (s); None without idle time on both sides."""
    before = np.flatnonzero(knots.time <= t0 - knots.slack / 2)[-knots.idle_count :]
    after = _settled(knots, t1, lag)[: knots.idle_count]
    step = idle_step(knots, before, after)
    if step is None or not _idle(knots, step, before) or not _idle(knots, step, after):
        return None
    power = step / knots.period
    a, b = np.meshgrid(before, after)
    energy = knots.energy[b] - knots.energy[a] - (knots.index[b] - knots.index[a]) * step + power * (t1 - t0)
    outside = float(np.median(knots.index[b] - knots.index[a])) * knots.period - (t1 - t0)
    noise = IDLE_NOISE * power * abs(outside)
    clock = power * (t1 - t0) * knots.period_sd / knots.period
    stale = power * knots.slack / np.sqrt(6.0)
    unseen = float(np.median(energy)) / (t1 - t0) * lag.value * np.exp(-(knots.time[after[-1]] - t1) / lag.value)
    sd = float(np.sqrt(INSTRUMENT_J**2 + noise**2 + clock**2 + stale**2 + unseen**2))
    start = float(np.median(knots.energy[before] + power * (t0 - knots.time[before])))
    return Bracket(float(np.median(energy)), sd, power, start)


def _idle(knots: Knots, step: float, side: Ints) -> bool:
    """Whether the knots on one side of a window are enough, and as idle as those on both sides together."""
    if knots.rhythm == "grid":
        steps = np.diff(knots.energy[side]) / np.diff(knots.index[side])
        return len(side) > 0 and bool(np.all(np.abs(steps - step) <= UNALIKE * abs(step)))
    alone = idle_step(knots, side)
    return len(side) >= FEWEST and alone is not None and abs(alone - step) <= UNALIKE * abs(step)


def _settled(knots: Knots, end: float, lag: Lag) -> Ints:
    """The knots late enough after ``end`` (s) for the lag to have passed; the last one, if only just too early."""
    margin = knots.time_sd + knots.slack
    for wait in (max(lag.value + lag.sd, H200_S), H200_S):
        late = np.flatnonzero(knots.time >= end + SETTLE_LAGS * wait + margin)
        if len(late):
            return late if wait > H200_S else late[-1:]
    return late
