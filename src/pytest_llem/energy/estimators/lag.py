"""How far an energy counter lags behind power: the time constant of its one-pole low-pass, found at a window's end.

Work ends sharply, so the last step before the end still lacks ``lag * power`` and the first after it lacks what the
low-pass has not let through yet. (The beginning is no help: loads start with a ramp or with a surge.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.knots import Knots, idle_step

H200_S = 0.009  # s; the lag of an H200's counter (driver 580), the prior for a meter that nothing is known of
PRIOR_SD_S = 0.006
LONGEST_S = 0.060
TIMING_SD_S = 0.0015  # spread of what the ends of 50 windows below the power limit show (H200)
TAIL_SD_S = 0.001
LEVEL_SD = 0.02  # relative, of the power right at the end, when steps before it do not show more
UNSEEN_SD = 0.15  # the same where no step lies in the window as a whole, so that its mean power is taken
FAINT = 0.2  # a load that adds less to idle power than this share of it shows no lag


@dataclass(frozen=True)
class Lag:
    """Time constant (s) and its standard deviation."""

    value: float
    sd: float


def find_lag(knots: Knots, start: float, end: float, last_start: float) -> Lag:
    """The lag that the end of the window ``start`` to ``end`` shows, together with the prior.

    ``last_start`` (s) is where the window's last part starts, whose power must be known.
    """
    prior = Lag(H200_S, PRIOR_SD_S)
    before = np.flatnonzero(knots.time <= start)[-knots.idle_count :]
    inside = np.flatnonzero((knots.time > last_start) & (knots.time < end))
    after = np.flatnonzero(knots.time >= end)[: knots.idle_count + 1]
    step = idle_step(knots, before, after[1:])
    if step is None or not len(before) or not len(inside) or len(after) < 2:
        return prior
    idle = step / knots.period
    rest = knots.energy[after[-1]] - knots.energy - idle * (knots.time[after[-1]] - knots.time)
    full = np.diff(knots.energy[inside[-4:]]) / np.diff(knots.time[inside[-4:]]) - idle
    if len(full):
        power = float(full.mean())
    elif last_start == start:
        power = float(rest[before[-1]]) / (end - start)
    else:
        return prior
    if not power > max(0.0, FAINT * idle):  # a workload that sleeps shows no lag
        return prior
    spread = float(np.ptp(full)) / 2 / power if len(full) else UNSEEN_SD
    last, first = inside[-1], after[0]
    missing = rest[last] / power - (end - knots.time[last])
    missing_sd = np.hypot(knots.time_sd, TIMING_SD_S) + max(LEVEL_SD, spread) * (end - knots.time[last] + H200_S)
    tail = rest[first] / power
    tail_sd = np.hypot(knots.time_sd, TAIL_SD_S)
    lag = np.linspace(0.0005, LONGEST_S, 240)
    misfit = ((lag - missing) / missing_sd) ** 2 + ((lag - H200_S) / PRIOR_SD_S) ** 2
    misfit += ((lag * np.exp(-(knots.time[first] - end) / lag) - tail) / tail_sd) ** 2
    weight = np.exp(-(misfit - misfit.min()) / 2)
    value = float(np.average(lag, weights=weight))
    return Lag(value, float(np.sqrt(np.average((lag - value) ** 2, weights=weight))))
