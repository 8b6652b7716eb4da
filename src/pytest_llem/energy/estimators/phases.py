"""The energy of the parts of one window, between which there is no idle time, so that the meter's lag matters.

Power is taken as a random walk inside each part, free to jump at each boundary, and the counter as its integral behind
a one-pole low-pass, seen at the steps. Together they are a linear Gaussian model, solved by least squares around each
boundary; steps that fit badly (late ones) lose weight. The ends of the whole window are held at the bracketed energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pytest_llem.energy.estimators.bracketed import Bracket
from pytest_llem.energy.estimators.grid import Floats
from pytest_llem.energy.estimators.knots import Knots
from pytest_llem.energy.estimators.lag import Lag
from pytest_llem.energy.estimators.simple import Boundaries

REACH = 8  # steps on each side of a boundary; power farther away says nothing about it
NEAR = 1.5  # periods within which there must be a step on each side of it
BINS = 10  # bins of constant power in one step
WALK = 0.2  # relative change of power (standard deviation) in one second's square root: 6 % in one step of 0.1 s
IDLE_WALK = 0.02
JITTER_S = 0.002  # the time of a step under load (standard deviation): on an H200 0.3 to 1.7 ms, now and then 8
COUNTER_J = 0.03  # noise of the counter itself
OUTLIER = 2.0  # steps off by more standard deviations than this lose weight (Cauchy)
ROUNDS = 6


@dataclass(frozen=True)
class _Bins:
    """Bins of constant power: ``edges`` (n + 1) in s, the number of the part that each of the n lies in."""

    edges: Floats
    part: Floats

    @property
    def width(self) -> Floats:
        return np.diff(self.edges)


def inner_boundaries(
    knots: Knots, times: Floats, bracket: Bracket, lag: Lag, by_power: Boundaries | None = None
) -> Boundaries:
    """Energy at each of ``times`` (s; first and last are the window's ends), 0 at the first; J.

    A boundary near which the counter shows no steps, or too few for all the boundaries there, is that of ``by_power``.
    """
    total = bracket.energy
    energy, sd, shared = np.zeros(len(times)), np.full(len(times), bracket.sd / np.sqrt(2)), np.zeros(len(times))
    energy[-1] = total
    for i in range(1, len(times) - 1):
        if by_power is None or by_power.shared is None or _seen(knots, times, i):
            energy[i], sd[i] = _boundary(knots, times, i, bracket, lag)
        else:
            energy[i], sd[i], shared[i] = by_power.energy[i], by_power.sd[i], by_power.shared[i]
    energy = np.maximum.accumulate(np.clip(energy, 0.0, max(total, 0.0)))
    return Boundaries(energy, sd, shared)


def _seen(knots: Knots, times: Floats, i: int) -> bool:
    """Whether there are steps on both sides of ``times[i]``, one of them inside the window, to tell it from others."""
    near = knots.time[np.abs(knots.time - times[i]) < NEAR * knots.period]
    inside = np.any((near > times[0]) & (near < times[-1]))
    crowd = np.count_nonzero(np.abs(times - times[i]) < REACH * knots.period)
    return bool(inside and np.any(near <= times[i]) and np.any(near > times[i]) and crowd <= REACH)


def _boundary(knots: Knots, times: Floats, i: int, bracket: Bracket, lag: Lag) -> tuple[float, float]:
    """Energy from the window's start to ``times[i]`` and its standard deviation (J)."""
    near = np.flatnonzero(np.abs(knots.time - times[i]) < REACH * knots.period)
    if len(near) < 2:
        share = (times[i] - times[0]) / (times[-1] - times[0])
        return share * bracket.energy, bracket.energy / 2
    tick, level = knots.time[near], knots.energy[near] - bracket.start_level - lag.value * bracket.idle_power
    bins = _bins(tick[0] - knots.period, tick[-1], times, knots.period / BINS)
    busy = (bins.part > 0) & (bins.part < len(times))
    mean = np.where(busy, bracket.energy / (times[-1] - times[0]), bracket.idle_power)
    prior = _prior(bins, busy, mean)
    # The unknowns: power in each bin, true energy at the first edge, a shift of all steps (phase and lag).
    seen = np.column_stack((_response(tick, bins.edges, lag.value), np.ones(len(tick)), np.zeros(len(tick))))
    ends = [(t, e) for t, e in ((times[0], 0.0), (times[-1], bracket.energy)) if bins.edges[0] <= t <= bins.edges[-1]]
    pinned = np.array([_true_energy(t, bins) for t, _ in ends]).reshape(len(ends), len(mean) + 2)
    wanted = _true_energy(times[i], bins)
    shift_sd = np.hypot(knots.time_sd, lag.sd)
    prior[-1, -1] += 1 / shift_sd**2
    power, weight = mean, np.ones(len(tick))
    for _ in range(ROUNDS):
        felt = np.maximum(_felt_power(tick, bins.edges, power, lag.value), 0.0)
        seen[:, -1] = felt
        noise = np.hypot(felt * JITTER_S, COUNTER_J)
        scaled = seen * (weight / noise**2)[:, None]
        matrix = prior + seen.T @ scaled + pinned.T @ pinned / bracket.sd**2
        right = scaled.T @ level + pinned.T @ np.array([e for _, e in ends]) / bracket.sd**2
        right[:-2] += 1e-6 / mean
        solution = np.linalg.solve(matrix, right)
        power = solution[:-2]
        weight = 1 / (1 + ((level - seen @ solution) / noise / OUTLIER) ** 2)
    variance = float(wanted @ np.linalg.solve(matrix, wanted))
    return float(wanted @ solution), float(np.sqrt(max(variance, 0.0)))


def _bins(first: float, last: float, times: Floats, width: float) -> _Bins:
    """Bins of about ``width`` from ``first`` to ``last`` that no boundary cuts; part 0 lies before the window."""
    inner = times[(times > first) & (times < last)]
    corners = np.concatenate(([first], inner, [last]))
    pieces = [np.linspace(a, b, max(2, round((b - a) / width)) + 1)[1:] for a, b in pairwise(corners.tolist())]
    edges = np.concatenate(([first], *pieces))
    return _Bins(edges, np.searchsorted(times, (edges[1:] + edges[:-1]) / 2).astype(np.float64))


def _prior(bins: _Bins, busy: np.ndarray[tuple[int], np.dtype[np.bool_]], mean: Floats) -> Floats:
    """The random walk as an inverse covariance, (n + 2, n + 2); neighbours in different parts are independent."""
    n = len(mean)
    same = np.diff(bins.part) == 0
    apart = (bins.width[1:] + bins.width[:-1]) / 2
    sd = np.where(busy, WALK, IDLE_WALK)[1:] * mean[1:] * np.sqrt(apart)
    pull = np.where(same, 1 / sd**2, 0.0)
    matrix = np.zeros((n + 2, n + 2))
    row = np.arange(n - 1)
    matrix[row, row] += pull
    matrix[row + 1, row + 1] += pull
    matrix[row, row + 1] -= pull
    matrix[row + 1, row] -= pull
    matrix[np.arange(n), np.arange(n)] += 1e-6 / mean**2  # so weak that it only keeps the matrix regular
    return matrix


def _response(tick: Floats, edges: Floats, lag: float) -> Floats:
    """What 1 W in each bin adds to the counter at each step, (ticks, bins) in J.

    Before the first edge power is that of the first bin.
    """
    until = np.minimum(edges[None, :], tick[:, None])
    faded = lag * np.exp(-(tick[:, None] - until) / lag) if lag > 0 else np.zeros_like(until)
    response = np.diff(until - faded, axis=1)
    response[:, 0] -= faded[:, 0]
    return np.asarray(response)


def _felt_power(tick: Floats, edges: Floats, power: Floats, lag: float) -> Floats:
    """Power behind the low-pass at each step (W)."""
    if lag <= 0:
        return np.asarray(power[np.clip(np.searchsorted(edges, tick) - 1, 0, len(power) - 1)])
    until = np.minimum(edges[None, :], tick[:, None])
    faded = np.exp(-(tick[:, None] - until) / lag)
    return np.asarray(np.diff(faded, axis=1) @ power + faded[:, 0] * power[0])


def _true_energy(time: float, bins: _Bins) -> Floats:
    """The energy up to ``time`` as weights of the unknowns, (n + 2,)."""
    inside = np.clip(time - bins.edges[:-1], 0.0, bins.width)
    return np.concatenate((inside, [1.0, 0.0]))
