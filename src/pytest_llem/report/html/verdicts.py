"""The top of the page: how the run went, each budget, and what did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_llem.report.html.data import CellRow, PageData
from pytest_llem.report.html.markup import OUTCOMES, badge, flags, number, plural, small_table, text
from pytest_llem.report.units import si
from pytest_llem.results.model import Verdict
from pytest_llem.study.metrics import METRICS

MOST_PROBLEMS = 15  # listed on top; the table below has all of them
_GRAVITY = ("error", "failed", "over_budget", "interrupted", "inconclusive")


def figure(value: float | None, metric: str, digits: int = 3) -> str:
    """A metric's value with its unit, for a person."""
    known = METRICS.get(metric.partition(".")[0])
    unit = known.unit if known is not None else ""
    if unit in ("", "1/s") or value is None:
        return number(value, digits) + ("/s" if unit == "1/s" else "")
    return si(value, unit, digits)


def limit(verdict: Verdict) -> str:
    """``≤ 500 mJ``."""
    ends = [(verdict.min, "≥"), (verdict.max, "≤")]
    return " and ".join(f"{sign} {figure(end, verdict.metric)}" for end, sign in ends if end is not None)


def verdicts(data: PageData) -> str:
    """The whole section's contents."""
    return headline(data.cells) + _tiles(data.cells) + _budgets(data.cells) + _problems(data.cells)


def headline(cells: Sequence[CellRow]) -> str:
    """One sentence, the most important thing first; then how far the figures can be trusted."""
    counts = Counter(cell.outcome for cell in cells)
    bad = [(counts[name], OUTCOMES[name][2]) for name in ("error", "failed", "over_budget") if counts[name]]
    words = ", ".join(f"{count:,} {what}" for count, what in bad)
    judged = any(cell.result is not None and cell.result.verdicts for cell in cells)
    if bad:
        style, sentence = "bad", f"{plural(len(cells), 'cell')}: {words}."
    elif counts["passed"] == len(cells) > 0:
        style, sentence = "good", f"{plural(len(cells), 'cell')}, all {'within budget' if judged else 'measured'}."
    else:
        style, sentence = "unsure", f"{counts['passed']:,} of {plural(len(cells), 'cell')} passed."
    trust = []
    if estimated := sum(cell.estimated for cell in cells):
        have = "has" if estimated == 1 else "have"
        trust.append(f"<b>ESTIMATED:</b> {plural(estimated, 'cell')} {have} no measured energy, only an estimate.")
    if invalid := sum(cell.invalid for cell in cells):
        trust.append(f"<b>INVALID:</b> the measurement of {plural(invalid, 'cell')} must not be trusted.")
    warning = f'<p class="trust">{" ".join(trust)}</p>' if trust else ""
    return f'<p class="headline {style}">{text(sentence)}</p>{warning}'


def _tiles(cells: Sequence[CellRow]) -> str:
    counts = Counter(cell.outcome for cell in cells)
    tiles = [(name, *OUTCOMES[name], counts[name]) for name in OUTCOMES if counts[name]]
    tiles += [
        (name, "flag", sign, name.upper(), count)
        for name, sign, count in (
            ("estimated", "≈", sum(cell.estimated for cell in cells)),
            ("invalid", "!", sum(cell.invalid for cell in cells)),
        )
        if count
    ]
    items = [
        f'<li><a class="tile {style}" href="#table" data-filter="{name}"><b>{count:,}</b>'
        f'<span><span aria-hidden="true">{sign}</span> {words}</span></a></li>'
        for name, style, sign, words, count in tiles
    ]
    return f'<ul class="tiles">{"".join(items)}</ul>'


def _budgets(cells: Sequence[CellRow]) -> str:
    found: dict[tuple[str, str], list[tuple[Verdict, CellRow]]] = {}
    for cell in cells:
        for verdict in cell.result.verdicts if cell.result is not None else ():
            found.setdefault((verdict.metric, limit(verdict)), []).append((verdict, cell))
    if not found:
        return "<p>No budgets were set: nothing was judged.</p>"
    lines = []
    for (metric, allowed), judged in found.items():
        counts = Counter(verdict.outcome for verdict, _ in judged)
        known = [(verdict.value, cell) for verdict, cell in judged if verdict.value is not None]
        pick = max if judged[0][0].max is not None else min
        worst = pick(known, key=lambda pair: pair[0], default=None)
        nearest = "–"
        if worst is not None:
            nearest = f"{text(figure(worst[0], metric))} in <code>{text(worst[1].entry.cell_id)}</code>"
        numbers = [str(counts[outcome]) for outcome in ("pass", "fail", "inconclusive")]
        lines.append([f"<code>{text(metric)}</code> {text(allowed)}", *numbers, nearest])
    return small_table(("budget", "pass", "fail", "inconclusive", "worst"), lines)


def _problems(cells: Sequence[CellRow]) -> str:
    bad = sorted((c for c in cells if c.outcome in _GRAVITY), key=lambda c: _GRAVITY.index(c.outcome))
    if not bad:
        return ""
    items = [
        f"<li>{badge(cell.outcome)} <code>{text(cell.entry.cell_id)}</code> {flags(cell)} {_why(cell)}</li>"
        for cell in bad[:MOST_PROBLEMS]
    ]
    left = len(bad) - MOST_PROBLEMS
    rest = f'<p><a href="#table">{left:,} more are in the table.</a></p>' if left > 0 else ""
    return f'<h3>What did not pass</h3><ul class="problems">{"".join(items)}</ul>{rest}'


def _why(cell: CellRow) -> str:
    if cell.problem is not None:
        return text(cell.problem)
    if cell.entry.error_message and cell.outcome != "over_budget":
        first, _, more = cell.entry.error_message.partition("\n")
        name = f"{text(cell.entry.error_type or 'error')}: {text(first)}"
        return f"<details><summary>{name}</summary><pre>{text(more)}</pre></details>" if more.strip() else name
    reasons = []
    for verdict in cell.result.verdicts if cell.result is not None else ():
        if verdict.outcome == "pass":
            continue
        ends = verdict.interval
        within = f" ({figure(ends[0], verdict.metric)} … {figure(ends[1], verdict.metric)})" if ends else ""
        why = f", {verdict.reason}" if verdict.reason else ""
        found = figure(verdict.value, verdict.metric, 4)  # a digit more than the limit, which may be close
        reasons.append(f"{verdict.metric} is {found}{within}, budget {limit(verdict)}{why}")
    return text("; ".join(reasons))
