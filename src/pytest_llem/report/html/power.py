"""Power over time of one cell, thinned to what a picture can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_llem.energy.trace import Samples, Trace, read_traces

MOST_PHASES = 120  # in one cell; more would be a pattern, not a picture


@dataclass(frozen=True)
class Line:
    """One device in one window: milliseconds since the cell's first sample, and watts."""

    device: str
    times_ms: tuple[int, ...]
    power_w: tuple[float, ...]


class Span(NamedTuple):
    """A stretch of time, in milliseconds since the cell's first sample."""

    label: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Power:
    """``samples``: how many there are in the file; ``field``: what was read."""

    lines: tuple[Line, ...]
    windows: tuple[Span, ...]
    phases: tuple[Span, ...]
    samples: int
    field: str
    driver: str


def thin(path: Path, points: int) -> Power | None:
    """The traces of a file with about ``points`` points in all; None when they hold no samples. Raises TraceError.

    Of each stretch the lowest and the highest sample are kept, so that peaks and dips stay what they were."""
    traces = [trace for trace in read_traces(path) if len(trace.power) or len(trace.energy) > 1]
    if not traces:
        return None
    curves = [_curve(trace) for trace in traces]
    zero = min(float(times[0]) for times, _, _ in curves)
    lines = []
    for trace, (times, watts, _) in zip(traces, curves, strict=True):
        kept = _extremes(watts, max(8, points // len(traces)))
        device = trace.name.partition("/")[2] or trace.device
        lines.append(Line(device, _ms(times[kept], zero), tuple(np.round(watts[kept], 1).tolist())))
    repeats = {(trace.t0, trace.t1): trace for trace in traces}  # the devices of a window share its times
    phases = [span for trace in repeats.values() for span in _phases(trace, zero)]
    return Power(
        lines=tuple(lines),
        windows=tuple(Span(t.name.partition("/")[0], *_ms((t.t0, t.t1), zero)) for t in repeats.values()),
        phases=tuple(phases) if len(phases) <= MOST_PHASES else (),
        samples=sum(len(times) for times, _, _ in curves),
        field=curves[0][2],
        driver=traces[0].driver,
    )


def _curve(trace: Trace) -> tuple[Samples, Samples, str]:
    """Times (s), power (W), and where it comes from: instant power, its average, else the counter's own slope."""
    for column, field in ((1, "instant power"), (2, "one-second average power")):
        known = np.isfinite(trace.power[:, column])
        if known.any():
            return trace.power[known, 0], trace.power[known, column], field
    fresh = np.concatenate([[True], np.diff(trace.energy[:, 2]) != 0])
    times, energy = trace.energy[fresh, 0], trace.energy[fresh, 2]
    if len(times) < 2:
        return trace.energy[:1, 0], np.zeros(1), "energy counter (stood still)"
    return times[1:], np.diff(energy) / np.diff(times), "slope of the energy counter"


def _extremes(watts: Samples, points: int) -> NDArray[np.intp]:
    """Indices of about ``points`` samples: of each of ``points`` / 2 equal stretches the lowest and the highest."""
    if len(watts) <= points:
        return np.arange(len(watts))
    edges = np.linspace(0, len(watts), points // 2 + 1).astype(int).tolist()
    kept = {0, len(watts) - 1}
    for a, b in pairwise(edges):
        kept |= {a + int(np.argmin(watts[a:b])), a + int(np.argmax(watts[a:b]))}
    return np.array(sorted(kept))


def _phases(trace: Trace, zero: float) -> list[Span]:
    """The marked parts; neighbours of one label are one. A window with a single label has nothing to tell apart."""
    merged = []
    for label, group in groupby(trace.parts(), key=lambda part: part[0]):
        same = list(group)
        merged.append(Span(label, *_ms((same[0][2], same[-1][3]), zero)))
    return merged if len(merged) > 1 else []


def _ms(times: Iterable[float], zero: float) -> tuple[int, ...]:
    return tuple(round((float(time) - zero) * 1e3) for time in times)
