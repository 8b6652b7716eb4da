"""``llem replay``: a recorded trace evaluated again, for a person to read."""

from __future__ import annotations

from pytest_llem.energy.replay import Replay
from pytest_llem.report.units import interval, si

MOST_WINDOWS = 12  # of one trace; --json has them all


def replay_text(found: Replay) -> str:
    """One line for each trace, and below it its marked parts."""
    lines = []
    for trace in found["traces"]:
        codes = ", ".join(trace["reasons"])
        flags = "" if not codes else f"  {codes}" if trace["valid"] else f"  INVALID: {codes}"
        lines.append(f"{trace['name']}: {_energy(trace['energy_j'], trace['ci95'])}  [{trace['method']}]{flags}")
        for window in trace["windows"][:MOST_WINDOWS]:
            seconds = window["end"] - window["start"]
            energy_j, units = window["energy_j"], window["units"]
            per_unit = None if energy_j is None or not units else energy_j / units
            lines.append(
                f"  {window['label']:<16} {seconds:8.3f} s  {_energy(energy_j, window['ci95'])}"
                f"  {units:g} units, {si(per_unit, 'J')} each"
            )
        if len(trace["windows"]) > MOST_WINDOWS:
            lines.append(f"  … and {len(trace['windows']) - MOST_WINDOWS} more (--json shows all)")
    return "\n".join(lines)


def _energy(value: float | None, ends: list[float] | None) -> str:
    if value is None or ends is None:
        return si(value, "J", 4)
    low, high = ends
    return f"{si(value, 'J', 4)} ({interval(low, high, 'J')})"
