"""The recorded traces of an H200, and what was done to them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from pytest_llem.energy.estimators import TraceEnergy, estimate
from pytest_llem.energy.trace import Trace, read_traces

FILE = Path(__file__).parents[2] / "data" / "h200_traces.json.gz"


@cache
def traces() -> tuple[Trace, ...]:
    """All 80 recordings."""
    return read_traces(FILE)


@cache
def results() -> tuple[TraceEnergy, ...]:
    """The bracketed energy of each recording."""
    return tuple(estimate(trace) for trace in traces())


def units(trace: Trace) -> float:
    """The work done in a trace."""
    return sum(mark.units for mark in trace.marks)


@cache
def references() -> dict[str, float]:
    """J per unit of each workload, from its six-second window."""
    found = {}
    for trace, result in zip(traces(), results(), strict=True):
        if trace.name.endswith("_ref"):
            assert result.energy_j is not None
            found[trace.name.removesuffix("_ref")] = result.energy_j / units(trace)
    return found


def thinned(trace: Trace, seed: int, idle_s: float = 0.2, gap_s: float = 0.02) -> Trace:
    """The same recording with little idle time, read seldom, at jittered times."""
    rng = np.random.default_rng(seed)
    rows = trace.energy[(trace.energy[:, 0] >= trace.t0 - idle_s) & (trace.energy[:, 1] <= trace.t1 + idle_s)]
    kept, due = [0], rows[0, 0] + gap_s * rng.uniform(0.5, 1.5)
    for i, before in enumerate(rows[:, 0]):
        if before >= due:
            kept.append(i)
            due = before + gap_s * rng.uniform(0.5, 1.5)
    power = trace.power[(trace.power[:, 0] >= trace.t0 - idle_s) & (trace.power[:, 0] <= trace.t1 + idle_s)]
    return replace(trace, energy=rows[kept], power=power)
