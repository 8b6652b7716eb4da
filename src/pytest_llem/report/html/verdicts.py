"""The top of the page: how the run went, each budget, and what did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.html.markup import OUTCOMES, badge, flags, plural, small_table, text
from pytest_llem.report.units import NONE, figure
from pytest_llem.report.words import judged, limits
from pytest_llem.results.model import Verdict

MOST_PROBLEMS = 15  # listed on top; the table below has all of them
_GRAVITY = ("error", "failed", "over_budget", "interrupted", "inconclusive")


def verdicts(cells: Sequence[CellRow]) -> str:
    """The whole section's contents."""
    return headline(cells) + _tiles(cells) + _budgets(cells) + _problems(cells)


def headline(cells: Sequence[CellRow]) -> str:
    """One sentence, the most important thing first; then how far the figures can be trusted."""
    counts = Counter(cell.outcome for cell in cells)
    bad = [f"{counts[name]:,} {OUTCOMES[name][2]}" for name in ("error", "failed", "over_budget") if counts[name]]
    if bad:
        style, sentence = "bad", f"{plural(len(cells), 'cell')}: {', '.join(bad)}."
    elif counts["passed"] == len(cells) > 0:
        budgets = any(cell.result is not None and cell.result.verdicts for cell in cells)
        style, sentence = "good", f"{plural(len(cells), 'cell')}, all {'within budget' if budgets else 'measured'}."
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
    tiles = [(name, *looks, counts[name]) for name, looks in OUTCOMES.items()]
    tiles.append(("estimated", "flag", "≈", "ESTIMATED", sum(cell.estimated for cell in cells)))
    tiles.append(("invalid", "flag", "!", "INVALID", sum(cell.invalid for cell in cells)))
    items = [
        f'<li><a class="tile {style}" href="#table" data-filter="{name}"><b>{count:,}</b>'
        f'<span><span aria-hidden="true">{sign}</span> {words}</span></a></li>'
        for name, style, sign, words, count in tiles
        if count
    ]
    return f'<ul class="tiles">{"".join(items)}</ul>'


def _budgets(cells: Sequence[CellRow]) -> str:
    found: dict[tuple[str, str], list[tuple[Verdict, CellRow]]] = {}
    for cell in cells:
        for verdict in cell.result.verdicts if cell.result is not None else ():
            found.setdefault((verdict.metric, limits(verdict)), []).append((verdict, cell))
    if not found:
        return "<p>No budgets were set: nothing was judged.</p>"
    lines = []
    for (metric, allowed), all_judged in found.items():
        counts = Counter(verdict.outcome for verdict, _ in all_judged)
        known = [(verdict.value, cell) for verdict, cell in all_judged if verdict.value is not None]
        pick = max if all_judged[0][0].max is not None else min
        value, where = pick(known, key=lambda pair: pair[0], default=(None, None))
        worst = f"{figure(value, metric)} in <code>{text(where.entry.cell_id)}</code>" if where is not None else NONE
        numbers = [str(counts[outcome]) for outcome in ("pass", "fail", "inconclusive")]
        lines.append([f"<code>{text(metric)}</code> {text(allowed)}", *numbers, worst])
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
    found = cell.result.verdicts if cell.result is not None else ()
    return text("; ".join(judged(verdict, digits=4) for verdict in found if verdict.outcome != "pass"))
