"""GitHub annotations: workflow commands on standard output that become marks beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pytest_llem.report.words import change, judged
from pytest_llem.results.comparison import Report
from pytest_llem.results.model import ExperimentResult

Place = tuple[str, int]
Level = Literal["error", "warning", "notice"]

MOST = 10
"""GitHub shows ten of each level for a step; the tenth then counts the rest."""


def comparison_annotations(report: Report, places: Mapping[str, Place] | None = None) -> list[str]:
    """An error for each failure, a warning for each that is undecided, a notice for other tokens.

    ``places``: file (relative to the repository) and line by configuration hash."""
    found: list[tuple[Level, str]] = []
    for row in report.comparisons:
        level: Level = "notice"
        if row.verdict == "fail":
            level, title = "error", f"{row.label} got dearer"
        elif row.verdict == "inconclusive":
            level, title = "warning", f"{row.label} was not compared" if row.refused else f"{row.label}: not sure"
        elif row.other_output:
            title = f"{row.label}: other tokens"
        else:
            continue
        figures = f"{row.metric} {change(row)}, tolerance {100 * row.tolerance:.3g} %" if row.ratio else row.metric
        said = [*([figures] if level != "notice" else []), *([row.reason] if row.reason else []), *row.notes]
        found.append((level, _command(level, title, "; ".join(said), (places or {}).get(row.config_hash))))
    return _capped(found)


def budget_annotations(results: Iterable[ExperimentResult], places: Mapping[str, Place] | None = None) -> list[str]:
    """An error for each broken budget and a warning for each undecided one; ``places`` by configuration hash."""
    found: list[tuple[Level, str]] = []
    for result in results:
        for verdict in result.verdicts:
            if verdict.outcome == "pass":
                continue
            level: Level = "error" if verdict.outcome == "fail" else "warning"
            title = f"{result.study}[{result.cell_id}] {'is over budget' if level == 'error' else 'may be over budget'}"
            found.append((level, _command(level, title, judged(verdict), (places or {}).get(result.config_hash))))
    return _capped(found)


def _capped(found: list[tuple[Level, str]]) -> list[str]:
    lines: list[str] = []
    for level in ("error", "warning", "notice"):
        same = [line for of, line in found if of == level]
        if len(same) > MOST:
            rest = len(same) - MOST + 1
            same = [*same[: MOST - 1], f"::{level} title=pytest-llem::and {rest} more; the job's summary lists all"]
        lines += same
    return lines


def _command(level: Level, title: str, message: str, place: Place | None) -> str:
    properties = {} if place is None else {"file": place[0], "line": str(place[1])}
    properties["title"] = title
    said = ",".join(
        f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for name, value in properties.items()
    )
    return f"::{level} {said}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
