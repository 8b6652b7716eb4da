"""The summary table: one row for each experiment, pure text from flat figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llem.report.units import NONE, figure, figures
from pytest_llem.results.model import ExperimentResult

Scalar = str | int | float | bool | None
HEADER = ("experiment", "J/token", "95 % interval", "tokens/s", "W", "verdict")
_ENERGY = "energy_per_output_token_j"
_WORDS = {"over_budget": "OVER BUDGET", "failed": "FAILED", "error": "ERROR"}
_STYLES = {"passed": "green", "inconclusive": "yellow", "skipped": "yellow"}


@dataclass(frozen=True)
class Row:
    """What the table shows of one experiment. ``style`` is a colour name for the verdict."""

    cells: tuple[str, ...]
    style: str


def figures_of(result: ExperimentResult) -> dict[str, Scalar]:
    """The figures that ``row`` shows, by the names that they have in a report."""
    low, high = result.energy_per_output_token_j_ci95 or (None, None)
    return {
        _ENERGY: result.energy_per_output_token_j,
        f"{_ENERGY}_low": low,
        f"{_ENERGY}_high": high,
        "output_tokens_per_s": result.output_tokens_per_s,
        "mean_power_w": result.mean_power_w,
        "measured": result.measured,
        "valid": result.validity.valid,
        "reasons": ", ".join(result.validity.reasons),
    }


def status_of(status: str, result: ExperimentResult | None) -> str:
    """The manifest's status, with ``inconclusive`` for what passed only because nothing could be decided."""
    undecided = result is not None and any(verdict.outcome == "inconclusive" for verdict in result.verdicts)
    return "inconclusive" if status == "passed" and undecided else status


def row(name: str, found: Mapping[str, Scalar], status: str) -> Row:
    """A row from the flat figures of a report."""
    low, high = _number(found, f"{_ENERGY}_low"), _number(found, f"{_ENERGY}_high")
    rate, power = _number(found, "output_tokens_per_s"), _number(found, "mean_power_w")
    flags = [] if found.get("measured", True) else ["(ESTIMATED)"]
    invalid = found.get("valid") is False
    flags += [f"(INVALID: {found.get('reasons')})"] if invalid else []
    cells = (
        name,
        figure(_number(found, _ENERGY), _ENERGY),
        figures(None if low is None or high is None else (low, high), _ENERGY),
        NONE if rate is None else f"{rate:,.0f}",
        NONE if power is None else f"{power:.3g}",
        " ".join(filter(None, (_WORDS.get(status, status), *flags))),
    )
    return Row(cells, "yellow" if status == "passed" and invalid else _STYLES.get(status, "red"))


def _number(found: Mapping[str, Scalar], key: str) -> float | None:
    value = found.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def layout(rows: Sequence[Row], width: int) -> tuple[str, list[tuple[str, str, str]]]:
    """The header line, and (text, verdict, style) of each row, columns aligned.

    Where ``width`` columns are too few, names are cut in the middle, where they differ least."""
    table = [HEADER, *(r.cells for r in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    spare = width - sum(widths[1:]) - 2 * (len(HEADER) - 1)
    widths[0] = min(widths[0], max(spare, 16))
    texts = []
    for name, *cells, _ in table:
        parts = [_cut(name, widths[0]).ljust(widths[0]), *map(str.rjust, cells, widths[1:])]
        texts.append("  ".join([*parts, ""]))
    return texts[0] + HEADER[-1], [(text, r.cells[-1], r.style) for text, r in zip(texts[1:], rows, strict=True)]


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
