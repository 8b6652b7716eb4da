"""A table for a pull request's comment or a job's summary: GitHub's and GitLab's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llem.report.units import interval, si
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.cycles import CycleVerdicts
from pytest_llem.results.model import ExperimentResult, Outcome, Verdict
from pytest_llem.results.rules import HIGHER_IS_BETTER
from pytest_llem.study.metrics import METRICS

MOST_ROWS = 150
"""A comment on GitHub holds 65,536 characters; a row takes up to 300 of them."""

_MARKS: dict[Outcome, str] = {"fail": "❌ fail", "inconclusive": "❔ not sure", "pass": "✅ pass"}
_ORDER: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def comparison_markdown(report: Report, title: str = "Energy against the baseline") -> str:
    """Failures first, then what is undecided, then what passes; what differs and why below the table."""
    rows = sorted(report.comparisons, key=lambda c: _ORDER.index(c.verdict))
    lines = [f"### {title}: {_MARKS[report.outcome]}", "", _counts(report), ""]
    if rows:
        lines += [
            "| experiment | figure | baseline | now | change | verdict |",
            "| --- | --- | ---: | ---: | ---: | --- |",
        ]
        lines += [_comparison_row(row) for row in rows[:MOST_ROWS]]
        lines += [f"\nand {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    explained = [f"- {_text(row.label)} `{row.metric}`: {_text(why)}" for row in rows for why in remarks(row)]
    explained += [f"- changed since the baseline: {_text(note)}" for note in report.notes]
    explained += [f"- not in the baseline: {_text(label)}" for label in report.new]
    explained += [f"- in the baseline, but not run: {_text(label)}" for label in report.gone]
    if explained:
        lines += ["", "<details><summary>Notes</summary>", "", *explained[:MOST_ROWS], "", "</details>"]
    return "\n".join(lines) + "\n"


def _counts(report: Report) -> str:
    if not report.comparisons:
        return "Nothing could be compared."
    count = {verdict: sum(c.verdict == verdict for c in report.comparisons) for verdict in _ORDER}
    return f"{count['fail']} dearer, {count['inconclusive']} undecided, {count['pass']} within the tolerance."


def _comparison_row(row: Comparison) -> str:
    unit = METRICS[row.metric.partition(".")[0]].unit
    cells = (
        _text(row.label),
        f"`{row.metric}`",
        si(row.before, unit),
        si(row.now, unit),
        change(row),
        f"{_MARKS[row.verdict]} (±{100 * row.tolerance:.3g} %)" if not row.refused else "❔ not compared",
    )
    return f"| {' | '.join(cells)} |"


def change(row: Comparison) -> str:
    """``↑ +3.1 % (+1.2 … +5.0)``: an arrow where the interval leaves out "no change", then ratio and interval."""
    if row.ratio is None or row.interval is None:
        return "–"
    low, high = row.interval
    arrow = "↑" if low > 1 else "↓" if high < 1 else "→"
    return f"{arrow} {percent(row.ratio)} % ({percent(low)} … {percent(high)})"


def percent(ratio: float) -> str:
    """``1.031`` makes ``+3.1``; what is beyond any use makes ``∞``."""
    value = 100 * (ratio - 1)
    return (
        "∞"
        if value > 1e4
        else f"{value:+.2f}"
        if abs(value) < 1
        else f"{value:+.1f}"
        if abs(value) < 100
        else f"{value:+.0f}"
    )


def remarks(row: Comparison) -> list[str]:
    """What is to be said of a comparison besides its figures."""
    said = [row.reason] if row.reason else []
    if row.verdict == "inconclusive" and row.smallest_change is not None:
        cycles = f"{row.cycles_now} cycles against {row.cycles_before}"
        worse = "drop" if row.metric.partition(".")[0] in HIGHER_IS_BETTER else "rise"
        said.append(f"{cycles} could have found a {worse} of {100 * row.smallest_change:.3g} %")
    return [*said, *row.notes]


def cycles_markdown(found: Sequence[CycleVerdicts], title: str = "Budgets over cycles") -> str:
    """A row for each budget on a configuration's mean over its cycles; nothing where there is none."""
    if not found:
        return ""
    rows = [_cycles_row(one, verdict) for one in found for verdict in one.verdicts]
    lines = [
        f"### {title}",
        "",
        "| experiment | figure | mean | 95 % interval | cycles | verdict |",
        "| --- | --- | ---: | ---: | ---: | --- |",
        *rows[:MOST_ROWS],
    ]
    lines += [f"\nand {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    return "\n".join(lines) + "\n\n"


def _cycles_row(one: CycleVerdicts, verdict: Verdict) -> str:
    unit = METRICS[verdict.metric.partition(".")[0]].unit
    ends = "–" if verdict.interval is None else interval(*verdict.interval, unit)
    reason = f" ({_text(verdict.reason)})" if verdict.reason else ""
    figure, mark = f"`{verdict.metric}`", f"{_MARKS[verdict.outcome]}{reason}"
    return f"| {_text(one.label)} | {figure} | {si(verdict.value, unit)} | {ends} | {one.cycles} | {mark} |"


def results_markdown(results: Sequence[ExperimentResult], title: str = "Energy") -> str:
    """A row for each experiment of a run, with what its budgets say."""
    lines = [
        f"### {title}",
        "",
        "| experiment | J/token | 95 % interval | tokens/s | W | verdict |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        *(_result_row(result) for result in results[:MOST_ROWS]),
    ]
    lines += [f"\nand {len(results) - MOST_ROWS} more"] if len(results) > MOST_ROWS else []
    return "\n".join(lines) + "\n"


def _result_row(result: ExperimentResult) -> str:
    ends = result.energy_per_output_token_j_ci95
    outcomes = {verdict.outcome for verdict in result.verdicts}
    verdict = next((_MARKS[outcome] for outcome in _ORDER if outcome in outcomes), "")
    flags = [] if result.measured else ["ESTIMATED"]
    flags += [] if result.validity.valid else [f"INVALID: {', '.join(result.validity.reasons)}"]
    cells = (
        _text(f"{result.study}[{result.cell_id}]"),
        si(result.energy_per_output_token_j, "J"),
        "–" if ends is None else interval(*ends, "J"),
        f"{result.output_tokens_per_s:,.0f}",
        "–" if result.mean_power_w is None else f"{result.mean_power_w:.3g}",
        " ".join([verdict, *(f"({_text(flag)})" for flag in flags)]).strip(),
    )
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Free text inside a table: nothing in it can end a cell, a line or start HTML."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for sign in "\\|[]*_`":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
