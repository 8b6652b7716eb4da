"""``llem replay``: recorded traces evaluated again, on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pytest_llem.energy.estimators import TraceEnergy, estimate
from pytest_llem.energy.estimators.interval import Interval
from pytest_llem.energy.rhythm import share_rhythm
from pytest_llem.energy.trace import ESTIMATED, Trace, read_traces
from pytest_llem.report.units import interval, si

ESTIMATE = "estimated_energy"
MOST_WINDOWS = 12  # of one trace; --json has them all


def replay(path: Path, method: str | None = None) -> list[TraceEnergy]:
    """Evaluate every trace of a file; raises TraceError when it cannot be read, ValueError for an unknown method.

    Without a method each trace gets the one that its meter wants: the recorder wrote it down, else ``bracketed``."""
    return [_estimate(trace, method) for trace in share_rhythm(read_traces(path))]


def _estimate(trace: Trace, method: str | None) -> TraceEnergy:
    found = estimate(trace, method or trace.extra.get("method", "bracketed"))
    no_meter = trace.extra.get(ESTIMATED) == "yes"
    return replace(found, reasons=(ESTIMATE, *found.reasons)) if no_meter else found


def replay_json(found: Sequence[TraceEnergy]) -> dict[str, object]:
    """For programs."""
    return {"traces": [{**asdict(trace), "valid": trace.valid} for trace in found]}


def replay_text(found: Sequence[TraceEnergy]) -> str:
    """For a person: one line for each trace, and below it its marked parts."""
    lines = []
    for trace in found:
        codes = ", ".join(code for code in trace.reasons if code != ESTIMATE)
        flags = "  ESTIMATED" if ESTIMATE in trace.reasons else ""
        flags += "" if not codes else f"  {codes}" if trace.valid else f"  INVALID: {codes}"
        lines.append(f"{trace.name}: {_energy(trace.energy_j, trace.ci95)}  [{trace.method}]{flags}")
        for window in trace.windows[:MOST_WINDOWS]:
            per_unit = None if window.energy_j is None or not window.units else window.energy_j / window.units
            lines.append(
                f"  {window.label:<16} {window.end - window.start:8.3f} s  {_energy(window.energy_j, window.ci95)}"
                f"  {window.units:g} units, {si(per_unit, 'J')} each"
            )
        if len(trace.windows) > MOST_WINDOWS:
            lines.append(f"  … and {len(trace.windows) - MOST_WINDOWS} more (--json shows all)")
    return "\n".join(lines)


def _energy(value: float | None, ends: Interval | None) -> str:
    if value is None or ends is None:
        return si(value, "J", 4)
    return f"{si(value, 'J', 4)} ({interval(*ends, 'J')})"
