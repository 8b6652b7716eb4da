"""GitHub annotations: workflow commands on standard output that become marks beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pytest_llem.report.markdown import change
from pytest_llem.report.units import si
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.model import ExperimentResult, Verdict
from pytest_llem.study.metrics import METRICS

Place = tuple[str, int]
Level = Literal["error", "warning", "notice"]

MOST = 10
"""GitHub shows ten of each level for a step; the tenth then counts the rest."""


def comparison_annotations(report: Report, places: Mapping[str, Place] | None = None) -> list[str]:
    """An error for each failure, a warning for each that is undecided, a notice for other tokens.

    ``places``: file (relative to the repository) and line by configuration hash."""
    where = places or {}
    found: list[tuple[Level, str]] = []
    for row in report.comparisons:
        place = where.get(row.config_hash)
        if row.verdict == "fail":
            found.append(("error", _command("error", f"{row.label} got dearer", _story(row), place)))
        elif row.verdict == "inconclusive":
            title = f"{row.label} was not compared" if row.refused else f"{row.label}: not sure"
            found.append(("warning", _command("warning", title, _story(row), place)))
        elif row.other_output:
            found.append(("notice", _command("notice", f"{row.label}: other tokens", "; ".join(row.notes), place)))
    return _capped(found)


def _story(row: Comparison) -> str:
    first = f"{row.metric} {change(row)}, tolerance {100 * row.tolerance:.3g} %" if row.ratio else row.metric
    return "; ".join([first, *([row.reason] if row.reason else []), *row.notes])


def budget_annotations(results: Iterable[ExperimentResult], places: Mapping[str, Place] | None = None) -> list[str]:
    """An error for each broken budget and a warning for each undecided one; ``places`` by configuration hash."""
    where = places or {}
    found: list[tuple[Level, str]] = []
    for result in results:
        for verdict in result.verdicts:
            if verdict.outcome == "pass":
                continue
            level: Level = "error" if verdict.outcome == "fail" else "warning"
            title = f"{result.study}[{result.cell_id}] {'is over budget' if level == 'error' else 'may be over budget'}"
            found.append((level, _command(level, title, _budget(verdict), where.get(result.config_hash))))
    return _capped(found)


def _budget(verdict: Verdict) -> str:
    unit = METRICS[verdict.metric.partition(".")[0]].unit
    limits = [f"at most {si(verdict.max, unit)}"] if verdict.max is not None else []
    limits += [f"at least {si(verdict.min, unit)}"] if verdict.min is not None else []
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.metric} is {si(verdict.value, unit)}, allowed is {' and '.join(limits)}{reason}"


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
    said = ",".join(f"{name}={_escaped(value, property_too=True)}" for name, value in properties.items())
    return f"::{level} {said}::{_escaped(message)}"


def _escaped(text: str, *, property_too: bool = False) -> str:
    """Escapes of the workflow commands: what would end the line, and in a property also what would end the property."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_too else text
