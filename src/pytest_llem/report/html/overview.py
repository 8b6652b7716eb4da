"""The top of the page: how the run went, each budget, and what did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.html.looks import OUTCOMES, WORST_FIRST
from pytest_llem.report.words import judged, limits, plural
from pytest_llem.results.model import Outcome
from pytest_llem.results.study_result import CellVerdict


@dataclass(frozen=True)
class BudgetRow:
    """One budget over all cells; ``worst``: the cell that is nearest to it, or furthest beyond."""

    metric: str
    limits: str
    counts: Counter[Outcome]
    worst: CellVerdict | None


def headline(cells: Sequence[CellRow]) -> tuple[str, str]:
    """Style and sentence, the most important thing first."""
    counts = Counter(cell.outcome for cell in cells)
    all_cells = plural(len(cells), "cell")
    bad = [f"{counts[name]:,} {OUTCOMES[name][2]}" for name in ("error", "failed", "over_budget") if counts[name]]
    if bad:
        return "bad", f"{all_cells}: {', '.join(bad)}."
    if counts["passed"] == len(cells) > 0:
        has_budgets = any(cell.result is not None and cell.result.verdicts for cell in cells)
        return "good", f"{all_cells}, all {'within budget' if has_budgets else 'measured'}."
    return "unsure", f"{counts['passed']:,} of {all_cells} passed."


def tiles(cells: Sequence[CellRow]) -> list[tuple[str, str, str, str, int]]:
    """(name of the filter, style, sign, words, count)."""
    counts = Counter(cell.outcome for cell in cells)
    return [
        *((name, *looks, counts[name]) for name, looks in OUTCOMES.items()),
        ("estimated", "flag", "≈", "ESTIMATED", sum(cell.estimated for cell in cells)),
        ("invalid", "flag", "!", "INVALID", sum(cell.invalid for cell in cells)),
    ]


def budgets(verdicts: Sequence[CellVerdict]) -> list[BudgetRow]:
    """One for each different budget, in the order of first appearance."""
    found: dict[tuple[str, str], list[CellVerdict]] = {}
    for verdict in verdicts:
        found.setdefault((verdict.metric, limits(verdict)), []).append(verdict)
    rows = []
    for (metric, allowed), same in found.items():
        pick = max if same[0].max is not None else min
        worst = pick((one for one in same if one.value is not None), key=lambda one: one.value or 0.0, default=None)
        rows.append(BudgetRow(metric, allowed, Counter(one.outcome for one in same), worst))
    return rows


def problems(cells: Sequence[CellRow]) -> list[CellRow]:
    """What did not pass, the worst first."""
    return sorted((c for c in cells if c.outcome in WORST_FIRST), key=lambda c: WORST_FIRST.index(c.outcome))


def why(cell: CellRow) -> tuple[str, str]:
    """Why a cell did not pass, in a line; and the rest of a long error."""
    if cell.problem is not None:
        return cell.problem, ""
    if cell.entry.error_message and cell.outcome != "over_budget":
        first, _, more = cell.entry.error_message.partition("\n")
        return f"{cell.entry.error_type or 'error'}: {first}", more.strip()
    found = cell.result.verdicts if cell.result is not None else ()
    return "; ".join(judged(verdict, digits=4) for verdict in found if verdict.outcome != "pass"), ""
