"""The energy of the parts of a window inside which no counter was read: from the shape of sampled power.

The samples say how the energy is spread over the window, the bracketed counter how much it is. A sample stands for the
time from midway to the one before it to midway to the one after it, all of them late by a delay, which the sharp end of
the work shows. A sample that a boundary cuts is shared in proportion to the power on either side of the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llem.energy.estimators.simple import Boundaries, running_total, unseen_power
from pytest_llem.energy.trace import POWER_LIMIT_W, Floats, Ints, Trace

DELAY_S = 0.01  # s; prior of the delay: half a sample of 20 ms, and the lag of the sensor
LONGEST_DELAY = 2.0  # sample spacings
TAIL = 5  # samples on either side of the end of the work that show the delay
UNIFORM = float(np.sqrt(1 / 12))  # standard deviation of a uniform error of full width 1
SENSOR = 0.01  # relative, of a part's power against another's: what is left of lag and rounding inside a sample
POLLED_S = 0.05  # s; the driver's own samples are closer to one another, polled ones are not
FAINT = 0.2  # a load that adds less to idle power than this share of it shows no delay
FEWEST = 4


@dataclass(frozen=True)
class _Shape:
    """Samples of power (W): ``watts[i]`` holds from ``edges[i]`` to ``edges[i + 1]`` (s); ``spacing`` is typical."""

    edges: Floats
    watts: Floats
    spacing: float

    def energy(self, time: Floats) -> Floats:
        """The integral of power (J) up to each time (s)."""
        return np.interp(time, self.edges, running_total(self.edges, self.watts))


def power_boundaries(trace: Trace, times: Floats, total: float, total_sd: float) -> Boundaries | None:
    """Energy (J) at each of ``times`` (s), 0 at the first and ``total`` at the last, which are the window's ends.

    None where the samples do not cover the window.
    """
    shape = _shape(trace)
    if shape is None or shape.edges[0] > times[0] or trace.power[-1, 0] < times[-1] - shape.spacing:
        return None
    delay, delay_sd = _delay(shape, times)
    share, cut = _shares(shape, times, delay)
    early, late = (_shares(shape, times, delay + way * delay_sd)[0] for way in (-1, 1))
    # Between its two held ends an error of the shape grows and shrinks like a bridge.
    bridge = np.sqrt(np.clip(share * (1 - share), 0.0, None))
    unseen = np.sqrt((times[-1] - times[0]) * shape.spacing) * _roughness(shape, times + delay) * bridge
    cut = np.maximum(cut, _unseen_jump(shape, times, float(trace.extra.get(POWER_LIMIT_W, "0"))))
    # What a pause in the samples hides before a boundary is lacking there, what it hides after it is too much there.
    lost = running_total(trace.power[:, 0], unseen_power(trace.power[:, 0], trace.watts, shape.spacing))
    at = np.interp(times, trace.power[:, 0], lost)
    before = at - at[0]
    hidden = (1 - share) * before + share * (before[-1] - before)
    sensor, ends = SENSOR * total * bridge**2, total_sd / np.sqrt(2) + 0 * share
    errors = (cut * shape.spacing * UNIFORM, unseen, hidden, sensor, ends)
    return Boundaries(total * share, np.linalg.norm(errors, axis=0), total * (late - early) / 2)


def _shape(trace: Trace) -> _Shape | None:
    """The samples as steps; of a value polled more often than it is renewed only its first appearance."""
    time, watts = trace.power[:, 0], trace.watts
    if len(time) < FEWEST or np.any(np.isnan(watts)):
        return None
    fresh = np.concatenate(([0], np.flatnonzero(np.diff(watts)) + 1))
    if len(fresh) >= FEWEST and np.median(np.diff(time[fresh])) > 2 * np.median(np.diff(time)):
        time, watts = time[fresh], watts[fresh]
    spacing = float(np.median(np.diff(time)))
    edges = np.concatenate(([time[0] - spacing / 2], (time[1:] + time[:-1]) / 2, [time[-1] + spacing / 2]))
    return _Shape(edges, watts, spacing)


def _delay(shape: _Shape, times: Floats) -> tuple[float, float]:
    """How late the samples are (s) and its standard deviation, from the fall of power at the end of the work."""
    end, reach, longest = times[-1], TAIL * shape.spacing, LONGEST_DELAY * shape.spacing
    start, stop = end - 1.5 * shape.spacing, end + longest
    middle = (shape.edges[1:] + shape.edges[:-1]) / 2
    before = shape.watts[(middle > end - reach) & (middle < start)]
    after = shape.watts[(middle > stop) & (middle < end + reach + shape.spacing)]
    if times[-2] > end - reach or len(before) < 2 or len(after) < 2:
        return DELAY_S, shape.spacing
    idle, fall = float(np.median(after)), float(np.median(before) - np.median(after))
    noise = float(np.ptp(before) + np.ptp(after)) / 2
    if not fall > max(4 * noise, FAINT * idle):
        return DELAY_S, shape.spacing
    passed = float(np.diff(shape.energy(np.array([start, stop])))[0])
    delay = (passed - idle * (stop - start)) / fall - (end - start)
    # When within its period a polled field was renewed is not known; the driver's own samples carry their times.
    sd = shape.spacing * (UNIFORM * (0.5 if shape.spacing < POLLED_S else 1.5) + noise / fall)
    return float(np.clip(delay, -longest / 2, longest)), min(sd, shape.spacing)


def _shares(shape: _Shape, times: Floats, delay: float) -> tuple[Floats, Floats]:
    """The share of the window's energy up to each time, from 0 to 1, and the jump of power there (W)."""
    at = times + delay
    cut = np.clip(np.searchsorted(shape.edges, at, side="right") - 1, 0, len(shape.watts) - 1)
    left, right = _beside(shape, cut, -1), _beside(shape, cut, 1)
    begin, width = shape.edges[cut], np.diff(shape.edges)[cut]
    inside = np.clip((at - begin) / width, 0.0, 1.0)
    parted = left * inside + right * (1 - inside)
    first = np.divide(left * inside, parted, out=inside.copy(), where=parted > 0)
    up_to = np.maximum.accumulate(shape.energy(begin) + first * shape.watts[cut] * width)
    whole = up_to[-1] - up_to[0]
    share = (up_to - up_to[0]) / whole if whole > 0 else (times - times[0]) / (times[-1] - times[0])
    return share, np.abs(right - left)


def _beside(shape: _Shape, cut: Ints, way: int) -> Floats:
    """The power next to a cut sample on one side, or that of the cut sample itself where the next is cut as well."""
    beside = np.clip(cut + way, 0, len(shape.watts) - 1)
    return np.asarray(shape.watts[np.where(np.isin(beside, cut), cut, beside)])


def _unseen_jump(shape: _Shape, times: Floats, limit: float) -> Floats:
    """How far power may jump (W) at boundaries of parts that are too short for a sample of their own; else 0.

    A part that no sample shows may draw anything up to ``limit`` (W, 0 where it is not known).
    """
    short = np.concatenate(([False], np.diff(times) < 2 * shape.spacing, [False]))
    inside = shape.watts[(shape.edges[:-1] > times[0]) & (shape.edges[1:] < times[-1])]
    lowest = min(float(np.min(inside, initial=np.inf)), float(np.median(shape.watts)))
    return np.where(short[1:] | short[:-1], max(limit, float(np.max(shape.watts))) - lowest, 0.0)


def _roughness(shape: _Shape, times: Floats) -> float:
    """How much power differs from sample to sample inside the parts (W, root mean square)."""
    blur = shape.spacing / 2
    first, last = np.searchsorted(times, shape.edges[:-2] - blur), np.searchsorted(times, shape.edges[2:] + blur)
    steps = np.diff(shape.watts)[(first == last) & (first > 0) & (last < len(times))]
    return float(np.sqrt(np.mean(steps**2))) if len(steps) else float(np.std(shape.watts))
