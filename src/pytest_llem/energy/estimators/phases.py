"""The energy of the parts of one window, between which there is no idle time, so that the meter's lag matters.

Power is taken as a random walk inside each part, free to jump at each boundary, and the counter as its integral behind
a one-pole low-pass, seen at the steps. Together they are a linear Gaussian model, solved by least squares around each
boundary; steps that fit badly (late ones) lose weight. The ends of the whole window are held at the bracketed energy.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pytest_llem.energy.estimators.bracketed import Bracket, Lag
from pytest_llem.energy.estimators.knots import Knots
from pytest_llem.energy.estimators.simple import Boundaries
from pytest_llem.energy.trace import Floats, Ints

REACH = 8  # steps on each side of a boundary; power farther away says nothing about it
NEAR = 1.5  # periods within which there must be a step on each side of it
BINS = 10  # bins of constant power in one step
WALK = 0.2  # relative change of power (standard deviation) in one second's square root: 6 % in one step of 0.1 s
IDLE_WALK = 0.02
LOOSE = 3.0  # relative standard deviation of each bin's power about the mean: little, but it bounds parts of a few ms
JITTER_S = 0.002  # the time of a step under load (standard deviation): on an H200 0.3 to 1.7 ms, now and then 8
COUNTER_J = 0.03  # noise of the counter itself
OUTLIER = 2.0  # steps off by more standard deviations than this lose weight (Cauchy)
ROUNDS = 6


def inner_boundaries(
    knots: Knots, times: Floats, bracket: Bracket, lag: Lag, by_power: Boundaries | None = None
) -> Boundaries:
    """Energy at each of ``times`` (s; first and last are the window's ends), 0 at the first; J.

    A boundary near which the counter shows no steps, or too few for all the boundaries there, is that of ``by_power``.
    """
    energy, sd, shared = np.zeros(len(times)), np.full(len(times), bracket.sd / np.sqrt(2)), np.zeros(len(times))
    energy[-1] = bracket.energy
    for i in range(1, len(times) - 1):
        if by_power is None or by_power.shared is None or _seen(knots, times, i):
            energy[i], sd[i] = _boundary(knots, times, i, bracket, lag)
        else:
            energy[i], sd[i], shared[i] = by_power.energy[i], by_power.sd[i], by_power.shared[i]
    energy = np.maximum.accumulate(np.clip(energy, 0.0, max(bracket.energy, 0.0)))
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
    edges = _bins(tick[0] - knots.period, tick[-1], times, knots.period / BINS)
    part = np.searchsorted(times, (edges[1:] + edges[:-1]) / 2)  # 0 before the window, len(times) after it
    busy = (part > 0) & (part < len(times))
    mean = np.where(busy, bracket.energy / (times[-1] - times[0]), bracket.idle_power)
    n = len(mean)
    # The unknowns: power in each bin, true energy at the first edge, a shift of all steps in time (phase and lag).
    # Each row of what is known weighs them to a value with standard deviation 1.
    walk, shift = np.where(busy, WALK, IDLE_WALK) * mean, np.zeros((1, n + 2))
    shift[0, -1] = 1 / np.hypot(knots.time_sd, lag.sd)
    ends = (times[[0, -1]] >= edges[0]) & (times[[0, -1]] <= edges[-1])
    known = np.vstack(
        (
            _random_walk(edges, part, walk),
            np.eye(n, n + 2) / (LOOSE * mean)[:, None],
            shift,
            _energy_up_to(times[[0, -1]][ends], edges) / bracket.sd,
        )
    )
    held = np.array([0.0, bracket.energy])[ends] / bracket.sd
    values = np.concatenate((np.zeros(n - 1), np.full(n, 1 / LOOSE), [0.0], held))
    counted, felt_weights = _low_pass(tick, edges, lag.value)
    power, weight = mean, np.ones(len(tick))
    for _ in range(ROUNDS):
        felt = np.maximum(felt_weights @ power, 0.0)
        noise = np.hypot(felt * JITTER_S, COUNTER_J)
        seen, scale = np.column_stack((counted, np.ones(len(tick)), felt)), np.sqrt(weight) / noise
        rows = np.vstack((known, seen * scale[:, None]))
        solution = np.linalg.solve(rows.T @ rows, rows.T @ np.concatenate((values, level * scale)))
        power = solution[:-2]
        weight = 1 / (1 + ((level - seen @ solution) / noise / OUTLIER) ** 2)
    wanted = _energy_up_to(times[[i]], edges)[0]
    variance = float(wanted @ np.linalg.solve(rows.T @ rows, wanted))
    return float(wanted @ solution), float(np.sqrt(max(variance, 0.0)))


def _bins(first: float, last: float, times: Floats, width: float) -> Floats:
    """The edges of bins of about ``width`` from ``first`` to ``last`` (s) that no boundary cuts."""
    corners = [first, *times[(times > first) & (times < last)].tolist(), last]
    pieces = [np.linspace(a, b, max(2, round((b - a) / width)) + 1)[1:] for a, b in pairwise(corners)]
    return np.concatenate(([first], *pieces))


def _random_walk(edges: Floats, part: Ints, step: Floats) -> Floats:
    """Differences of neighbouring bins over what ``step`` (W per root second) allows them, (n - 1, n + 2); 0 where a
    part ends: there power is free to jump."""
    n, width = len(part), np.diff(edges)
    sd = step[1:] * np.sqrt((width[1:] + width[:-1]) / 2)
    return np.asarray(np.diff(np.eye(n, n + 2), axis=0) * ((np.diff(part) == 0) / sd)[:, None])


def _low_pass(tick: Floats, edges: Floats, lag: float) -> tuple[Floats, Floats]:
    """What 1 W in each bin adds to the counter (J) and to the power that it feels (W) at each step, (ticks, bins).

    Before the first edge power is that of the first bin.
    """
    until = np.minimum(edges, tick[:, None])
    faded = np.exp(-(tick[:, None] - until) / lag)
    felt = np.diff(faded)
    felt[:, 0] += faded[:, 0]
    return np.diff(until) - lag * felt, felt


def _energy_up_to(time: Floats, edges: Floats) -> Floats:
    """The true energy up to each time as weights of the unknowns, (times, n + 2)."""
    inside = np.clip(time[:, None] - edges[:-1], 0.0, np.diff(edges))
    return np.column_stack((inside, np.ones(len(time)), np.zeros(len(time))))
