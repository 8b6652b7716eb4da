"""The summary table: one row for each experiment, pure text from flat figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llem.report.units import interval, si

Scalar = str | int | float | bool | None
HEADER = ("experiment", "J/token", "95 % interval", "tokens/s", "W", "verdict")
_RIGHT = {1, 2, 3, 4}
WORDS = {
    "passed": "passed",
    "over_budget": "OVER BUDGET",
    "inconclusive": "inconclusive",
    "failed": "FAILED",
    "error": "ERROR",
    "skipped": "skipped",
}


@dataclass(frozen=True)
class Row:
    """What the table shows of one experiment. ``style`` is a colour name for the verdict."""

    cells: tuple[str, ...]
    style: str


def row(name: str, figures: Mapping[str, Scalar], status: str) -> Row:
    """A row from the flat figures of a report (``energy_per_output_token_j``, ``mean_power_w``, …)."""
    energy = _number(figures, "energy_per_output_token_j")
    low, high = _number(figures, "energy_per_output_token_j_low"), _number(figures, "energy_per_output_token_j_high")
    flags = [] if figures.get("measured", True) else ["ESTIMATED"]
    if figures.get("valid") is False:
        flags.append(f"INVALID: {figures.get('reasons')}")
    verdict = " ".join([WORDS.get(status, status), *(f"({flag})" for flag in flags)])
    cells = (
        name,
        si(energy, "J"),
        "" if energy is None or low is None or high is None else interval(low, high, "J"),
        "" if (rate := _number(figures, "output_tokens_per_s")) is None else f"{rate:,.0f}",
        "" if (power := _number(figures, "mean_power_w")) is None else f"{power:.3g}",
        verdict,
    )
    style = {"passed": "green", "inconclusive": "yellow", "skipped": "yellow"}.get(status, "red")
    return Row(cells, "yellow" if style == "green" and figures.get("valid") is False else style)


def _number(figures: Mapping[str, Scalar], key: str) -> float | None:
    value = figures.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def layout(rows: Sequence[Row], width: int) -> tuple[str, list[tuple[str, str, str]]]:
    """The header line, and (text, verdict, style) of each row, columns aligned.

    Where ``width`` columns are too few, names are cut in the middle, where they differ least."""
    table = [HEADER, *(r.cells for r in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADER))]
    spare = width - sum(widths[1:]) - 2 * (len(HEADER) - 1)
    widths[0] = min(widths[0], max(spare, 16))
    texts = [
        "  ".join(_fit(text, widths[i], right=i in _RIGHT) for i, text in enumerate(line[:-1])) + "  " for line in table
    ]
    return texts[0] + HEADER[-1], [(text, r.cells[-1], r.style) for text, r in zip(texts[1:], rows, strict=True)]


def _fit(text: str, width: int, *, right: bool) -> str:
    if len(text) > width:
        head = (width - 1) // 2
        text = f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
    return text.rjust(width) if right else text.ljust(width)
