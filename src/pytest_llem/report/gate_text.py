"""Verdicts of a gate for a terminal: a line for each thing that is not as it should be, a count for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llem.report.words import WORST_FIRST, change, judged, remarks
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.cycles import CycleVerdicts
from pytest_llem.results.model import Outcome

Line = tuple[str, str]
"""Text, and a colour name or an empty one."""

MOST = 30
_WORDS: dict[Outcome, Line] = {
    "fail": ("WORSE", "red"),
    "inconclusive": ("not sure", "yellow"),
    "pass": ("pass", "green"),
}


def comparison_lines(report: Report) -> list[Line]:
    """Failures first, each with what is to be said of it; no more than ``MOST`` rows, the rest counted."""
    rows = sorted(report.comparisons, key=lambda row: WORST_FIRST.index(row.verdict))
    lines = [line for row in rows[:MOST] for line in _comparison(row)]
    if len(rows) > MOST:
        lines.append((f"and {len(rows) - MOST} more", ""))
    lines += [(f"changed since the baseline: {note}", "") for note in report.notes]
    lines += _named("not in the baseline", report.new) + _named("in the baseline, but not run", report.gone)
    return lines or [("nothing could be compared", "yellow")]


def _comparison(row: Comparison) -> list[Line]:
    word, style = ("NOT COMPARED", "red") if row.refused else _WORDS[row.verdict]
    found = "" if row.ratio is None else f" {change(row)}, tolerance {100 * row.tolerance:.3g} %"
    cycles = "" if row.refused else f", {row.cycles_now} cycles against {row.cycles_before}"
    first = (f"{word:12}  {row.label} {row.metric}{found}{cycles}", style)
    return [first, *((f"{'':14}{remark}", "") for remark in remarks(row))]


def _named(what: str, labels: Sequence[str]) -> list[Line]:
    shown = ", ".join(labels[:MOST]) + (f" and {len(labels) - MOST} more" if len(labels) > MOST else "")
    return [(f"{what}: {shown}", "")] if labels else []


def cycle_lines(found: Iterable[CycleVerdicts]) -> list[Line]:
    """Budgets on means over cycles, those that pass too: their interval is the one to quote."""
    lines = []
    for one in found:
        for verdict in one.verdicts:
            word, style = ("OVER BUDGET", "red") if verdict.outcome == "fail" else _WORDS[verdict.outcome]
            lines.append((f"{word:12}  {one.label} {judged(verdict, f'mean of {one.cycles} cycles')}", style))
    return lines
