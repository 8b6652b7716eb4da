"""The energy of a whole window, from steps of the counter in the idle time before and after it.

``E = median over (a, b) of E_b - E_a - n * S + P * (t1 - t0)``: ``a`` among the last steps before the window, ``b``
among the first after it, ``n`` the steps from a to b, ``S`` the idle step (J), ``P`` = S / period the idle power. The
meter's lag, the grid's phase and the polling cancel, because power is the same, idle, at both ends. Of two or
three steps idle power is vague; there sampled power tells it better.

The lag is the time constant of the counter's one-pole low-pass. It is found at the end of the window: work ends
sharply, so the last step before it still lacks ``lag * power`` and the first after it lacks what the low-pass has not
let through yet. (The beginning is no help: loads start with a ramp or with a surge.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.interval import INSTRUMENT_J
from pytest_llem.energy.estimators.knots import IDLE_S, Knots
from pytest_llem.energy.trace import Ints, Trace

SETTLE_LAGS = 4.5  # after so many time constants a one-pole has forgotten all but 1 %; the median takes the rest
IDLE_NOISE = 0.003  # relative standard deviation of idle power from a few steps
STEP_NOISE = 0.05  # of a single one, which may hold what the one before it lacked
SAMPLED_NOISE = 0.01  # of the median of instant power: what parts the field from the counter at idle (H200: 0.8 %)
MISCOUNT = 0.7  # standard deviation of a count that may be off by one
UNALIKE = 0.25  # a step that differs by more from the others was not idle
TAIL = 0.08  # a step at the outer end of a side that is higher by more holds the tail of other work (idle ones: 4 %)
FEWEST = 3  # knots on each side, for a counter whose steps the reads did not resolve

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


@dataclass(frozen=True)
class Idle:
    """Idle power and its standard deviation (W)."""

    power: float
    sd: float

    def pooled(self, other: Idle | None) -> Idle:
        """Both together, weighted by what each is worth."""
        if other is None or not self.sd > 0:
            return self
        own, theirs = self.sd**-2, other.sd**-2
        return Idle((own * self.power + theirs * other.power) / (own + theirs), (own + theirs) ** -0.5)


@dataclass(frozen=True)
class Bracket:
    """``energy`` and its ``sd`` (J, the instrument's part); idle power (W), and as counted; the counter at t0 (J)."""

    energy: float
    sd: float
    idle_power: float
    counted: Idle
    start_level: float


def bracketed(knots: Knots, t0: float, t1: float, lag: Lag, sampled: Idle | None = None) -> Bracket | None:
    """The bracketed energy of ``t0`` to ``t1`` (s); None without idle time on both sides.

    ``sampled`` is idle power as the power field shows it: worth more than two or three steps, less than six.
    """
    before, after = knots.before(t0 - knots.slack / 2), _settled(knots, t1, lag)[: knots.idle_count]
    if knots.rhythm == "grid":
        before, after = _nearby(knots, before, after)
    step = knots.idle_step(before, after)
    if step is None or not _idle(knots, step, before) or not _idle(knots, step, after):
        return None
    power = step / knots.period
    number = max(1, len(before) + len(after) - 2)
    counted = Idle(power, power * max(IDLE_NOISE, STEP_NOISE * number**-1.5))
    idle = counted.pooled(sampled)
    power, step = idle.power, idle.power * knots.period
    a, b = np.meshgrid(before, after)
    steps = knots.index[b] - knots.index[a]
    energy = float(np.median(knots.energy[b] - knots.energy[a] - steps * step + power * (t1 - t0)))
    outside = float(np.median(steps)) * knots.period - (t1 - t0)
    errors = (
        INSTRUMENT_J,
        idle.sd * outside,
        power * (t1 - t0) * knots.period_sd / knots.period,
        MISCOUNT * step * outside / float(np.median(knots.time[b] - knots.time[a])) * knots.ambiguous,
        power * knots.slack / np.sqrt(6.0),
        energy / (t1 - t0) * lag.value * np.exp((t1 - knots.time[after[-1]]) / lag.value),  # what still lags behind
    )
    start = float(np.median(knots.energy[before] + power * (t0 - knots.time[before])))
    return Bracket(energy, float(np.linalg.norm(errors)), power, counted, start)


def sampled_idle(trace: Trace, knots: Knots) -> Idle | None:
    """Idle power beside the window by the field of instant power; None where it has too few samples there."""
    time, power = trace.power[:, 0], trace.power[:, 1]
    late = trace.t1 + 2 * knots.period  # instant power has surely been renewed
    beside = power[((time > trace.t0 - IDLE_S) & (time <= trace.t0)) | ((time > late) & (time <= late + IDLE_S))]
    median = float(np.median(beside)) if knots.rhythm == "grid" and len(beside) >= FEWEST else np.nan
    return Idle(median, SAMPLED_NOISE * median) if median > 0 else None


def _nearby(knots: Knots, before: Ints, after: Ints) -> tuple[Ints, Ints]:
    """The knots on both sides without those beyond a busy step: the tail of the work before, the begin of the next."""
    steps = [np.diff(knots.energy[side]) / np.diff(knots.index[side]) for side in (before, after)]
    lowest = np.sort(np.concatenate(steps))
    most = (1 + TAIL) * float(np.median(lowest[: (len(lowest) + 1) // 2])) if len(lowest) else np.inf
    busy_before, busy_after = (np.flatnonzero(step > most) for step in steps)
    # One knot between the window and a busy step proves nothing: then the busy step stays, and is found.
    if len(busy_before) and busy_before[-1] + 2 < len(before):
        before = before[busy_before[-1] + 1 :]
    if len(busy_after) and busy_after[0] > 0:
        after = after[: busy_after[0] + 1]
    return before, after


def _idle(knots: Knots, step: float, side: Ints) -> bool:
    """Whether the knots on one side of a window are enough, and as idle as those on both sides together."""
    if knots.rhythm == "grid":
        steps = np.diff(knots.energy[side]) / np.diff(knots.index[side])
        return len(side) > 0 and bool(np.all(np.abs(steps - step) <= UNALIKE * abs(step)))
    alone = knots.idle_step(side)
    return len(side) >= FEWEST and alone is not None and abs(alone - step) <= UNALIKE * abs(step)


def _settled(knots: Knots, end: float, lag: Lag) -> Ints:
    """The knots late enough after ``end`` (s) for the lag to have passed; the last one, if only just too early."""
    margin = knots.time_sd + knots.slack
    late = knots.after(end + SETTLE_LAGS * max(lag.value + lag.sd, H200_S) + margin)
    return late if len(late) else knots.after(end + SETTLE_LAGS * H200_S + margin)[-1:]


def find_lag(knots: Knots, start: float, end: float, last_start: float) -> Lag:
    """The lag that the end of the window ``start`` to ``end`` shows, together with the prior.

    ``last_start`` (s) is where the window's last part starts, whose power must be known.
    """
    prior = Lag(H200_S, PRIOR_SD_S)
    before, after = knots.before(start), knots.after(end)[: knots.idle_count + 1]
    inside = np.flatnonzero((knots.time > last_start) & (knots.time < end))
    step = knots.idle_step(before, after[1:])
    if step is None or not len(before) or not len(inside) or len(after) < 2:
        return prior
    idle = step / knots.period
    rest = knots.energy[after[-1]] - knots.energy - idle * (knots.time[after[-1]] - knots.time)
    full = np.diff(knots.energy[inside[-4:]]) / np.diff(knots.time[inside[-4:]]) - idle
    if not len(full) and last_start > start:
        return prior
    power = float(full.mean()) if len(full) else float(rest[before[-1]]) / (end - start)
    if not power > max(0.0, FAINT * idle):  # a workload that sleeps shows no lag
        return prior
    last, first = inside[-1], after[0]
    level_sd = max(LEVEL_SD, float(np.ptp(full)) / 2 / power if len(full) else UNSEEN_SD)
    missing = rest[last] / power - (end - knots.time[last])
    missing_sd = np.hypot(knots.time_sd, TIMING_SD_S) + level_sd * (end - knots.time[last] + H200_S)
    tail, tail_sd = rest[first] / power, np.hypot(knots.time_sd, TAIL_SD_S)
    lag = np.linspace(0.0005, LONGEST_S, 240)
    misfit = ((lag - missing) / missing_sd) ** 2 + ((lag - H200_S) / PRIOR_SD_S) ** 2
    misfit += ((lag * np.exp(-(knots.time[first] - end) / lag) - tail) / tail_sd) ** 2
    weight = np.exp(-(misfit - misfit.min()) / 2)
    value = float(np.average(lag, weights=weight))
    return Lag(value, float(np.sqrt(np.average((lag - value) ** 2, weights=weight))))
