"""Evaluate a recorded trace file on any machine: what ``llem replay`` prints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from pytest_llem.energy.estimators import TraceEnergy, estimate
from pytest_llem.energy.trace import read_traces


class ReplayedWindow(TypedDict):
    """One marked part."""

    label: str
    units: float
    start: float
    end: float
    energy_j: float | None
    ci95: list[float] | None


class ReplayedTrace(TypedDict):
    """One trace; ``energy_j`` and ``ci95`` are None where they cannot be trusted, ``reasons`` says why."""

    name: str
    windows: list[ReplayedWindow]
    energy_j: float | None
    ci95: list[float] | None
    method: str
    valid: bool
    reasons: list[str]


class Replay(TypedDict):
    """A whole file, ready for JSON."""

    traces: list[ReplayedTrace]


def replay(path: Path, method: str | None = None) -> Replay:
    """Evaluate every trace of a file; raises TraceError when it cannot be read, ValueError for an unknown method.

    Without a method each trace gets the one that its meter wants: the recorder wrote it down, else ``bracketed``."""
    return plain(estimate(trace, method or trace.extra.get("method", "bracketed")) for trace in read_traces(path))


def plain(results: Iterable[TraceEnergy]) -> Replay:
    """Results as plain JSON values."""
    return {"traces": [_trace(result) for result in results]}


def _trace(result: TraceEnergy) -> ReplayedTrace:
    return {
        "name": result.name,
        "windows": [
            {
                "label": window.label,
                "units": window.units,
                "start": window.start,
                "end": window.end,
                "energy_j": window.energy_j,
                "ci95": list(window.ci95) if window.ci95 else None,
            }
            for window in result.windows
        ],
        "energy_j": result.energy_j,
        "ci95": list(result.ci95) if result.ci95 else None,
        "method": result.method,
        "valid": result.valid,
        "reasons": list(result.reasons),
    }
