"""A table for a pull request's comment or a job's summary: GitHub's and GitLab's Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llem.report.table import HEADER, figures_of, row
from pytest_llem.report.units import figure, figures
from pytest_llem.report.words import WORST_FIRST, change, limits, remarks
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.cycles import CycleVerdicts
from pytest_llem.results.model import ExperimentResult, Outcome, Verdict

MOST_ROWS = 150
"""A comment on GitHub holds 65,536 characters; a row takes up to 300 of them."""

_MARKS: dict[Outcome, str] = {"fail": "❌ fail", "inconclusive": "❔ not sure", "pass": "✅ pass"}


def comparison_markdown(report: Report, title: str = "Energy against the baseline") -> str:
    """Failures first, then what is undecided, then what passes; what differs and why below the table."""
    rows = sorted(report.comparisons, key=lambda c: WORST_FIRST.index(c.verdict))
    lines = [f"### {title}: {_MARKS[report.outcome]}", "", _counts(report), ""]
    lines += _table(("experiment", "figure", "baseline", "now", "change", "verdict"), map(_compared, rows))
    explained = [f"- {_text(row.label)} `{row.metric}`: {_text(why)}" for row in rows for why in remarks(row)]
    explained += [f"- changed since the baseline: {_text(note)}" for note in report.notes]
    explained += [f"- not in the baseline: {_text(label)}" for label in report.new]
    explained += [f"- in the baseline, but not run: {_text(label)}" for label in report.gone]
    if explained:
        lines += ["", "<details><summary>Notes</summary>", "", *explained[:MOST_ROWS], "", "</details>"]
    return "\n".join(lines) + "\n"


def cycles_markdown(found: Sequence[CycleVerdicts], title: str = "Budgets over cycles") -> str:
    """A row for each budget on a configuration's mean over its cycles; nothing where there is none."""
    rows = [_mean(one, verdict) for one in found for verdict in one.verdicts]
    head = ("experiment", "figure", "limit", "mean", "95 % interval", "cycles", "verdict")
    return "\n".join([f"### {title}", "", *_table(head, rows), "", ""]) if rows else ""


def results_markdown(results: Sequence[ExperimentResult], title: str = "Energy") -> str:
    """A row for each experiment of a run, with what its budgets say."""
    return "\n".join([f"### {title}", "", *_table(HEADER, map(_result, results))]) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Figures stand on the right: all but the first column and the last, and names of metrics."""
    rules = ["---", *("---" if name == "figure" else "---:" for name in head[1:-1]), "---"]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    more = [f"\nand {len(lines) - MOST_ROWS} more"] if len(lines) > MOST_ROWS else []
    return [f"| {' | '.join(head)} |", f"| {' | '.join(rules)} |", *lines[:MOST_ROWS], *more] if lines else []


def _counts(report: Report) -> str:
    if not report.comparisons:
        return "Nothing could be compared."
    count = {verdict: sum(c.verdict == verdict for c in report.comparisons) for verdict in WORST_FIRST}
    return f"{count['fail']} dearer, {count['inconclusive']} undecided, {count['pass']} within the tolerance."


def _compared(row: Comparison) -> list[str]:
    mark = "❔ not compared" if row.refused else f"{_MARKS[row.verdict]} (±{100 * row.tolerance:.3g} %)"
    values = (figure(value, row.metric) for value in (row.before, row.now))
    return [_text(row.label), f"`{row.metric}`", *values, change(row), mark]


def _mean(one: CycleVerdicts, verdict: Verdict) -> list[str]:
    reason = f" ({_text(verdict.reason)})" if verdict.reason else ""
    mean, ends = figure(verdict.value, verdict.metric), figures(verdict.interval, verdict.metric)
    said = f"{_MARKS[verdict.outcome]}{reason}"
    return [_text(one.label), f"`{verdict.metric}`", _text(limits(verdict)), mean, ends, str(one.cycles), said]


def _result(result: ExperimentResult) -> list[str]:
    outcomes = {verdict.outcome for verdict in result.verdicts}
    mark = next((_MARKS[outcome] for outcome in WORST_FIRST if outcome in outcomes), "")
    name, *cells, flags = row(f"{result.study}[{result.cell_id}]", figures_of(result), "").cells
    return [_text(name), *cells, " ".join(filter(None, (mark, _text(flags))))]


def _text(text: str) -> str:
    """Free text inside a table: nothing in it can end a cell, a line or start HTML."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for sign in "\\|[]*_`":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
