"""The table of all cells: plain HTML with a sortable value on each entry, so that it can be read without scripts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.html.markup import OUTCOMES, badge, flags, links, number, plain, short, text
from pytest_llem.report.units import scale

MOST_AXES = 5  # columns of swept values; a study with more is better read by its cells' names
MANY = 300  # rows; from here on the browser lays the table out only when it comes into view
_ORDER = {name: number for number, name in enumerate(("error", "failed", "over_budget", "interrupted", "inconclusive"))}


@dataclass(frozen=True)
class Figure:
    """A column of numbers, all in one unit, which the heading names."""

    title: str
    unit: str
    metric: str
    explanation: str
    scaled: bool = True
    interval: bool = False


FIGURES = (
    Figure("energy", "J/token", "energy_per_output_token_j", "energy for each generated token", interval=True),
    Figure("energy", "J/request", "energy_per_request_j", "energy for each request"),
    Figure("output", "tokens/s", "output_tokens_per_s", "generated tokens in a second", scaled=False),
    Figure("power", "W", "mean_power_w", "energy over duration", scaled=False),
    Figure("TTFT", "s", "ttft_s.median", "time to the first token, median"),
    Figure("TPOT", "s", "tpot_s.median", "time for each token after the first, median"),
    Figure("peak memory", "B", "peak_memory_bytes", "largest amount of memory in use"),
)


def table(cells: Sequence[CellRow], base: str) -> str:
    """The whole table element; ``base``: the run's folder as the page sees it."""
    axes = list(dict.fromkeys(path for cell in cells for path in cell.varied))
    axes = axes if len(axes) <= MOST_AXES else []
    columns = [(figure, _factor(cells, figure)) for figure in FIGURES if _values(cells, figure)]
    lines = [_row(index, cell, axes, columns, base) for index, cell in enumerate(cells)]
    head = [_head("experiment"), _head("verdict")]
    for figure, (_, prefix) in columns:
        head.append(_head(f"{figure.title}, {prefix}{figure.unit}", figure.explanation, numeric=True))
        if figure.interval:
            head.append(f'<th scope="col" class="n" title="{prefix}{figure.unit}">95 % interval</th>')
    head += [_head(short(path), path) for path in axes]
    head += [_head("device"), '<th scope="col" class="files">files</th>']
    many = " many" if len(cells) > MANY else ""
    return (
        f'<table id="cells" class="cells{many}">'
        '<caption class="unseen">All cells of the run; the buttons sort</caption>'
        f"<thead><tr>{''.join(head)}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table>"
    )


def _head(title: str, explanation: str = "", *, numeric: bool = False) -> str:
    return (
        f'<th scope="col"{" class=n" if numeric else ""} aria-sort="none">'
        f'<button type="button" title="{text(explanation)}">{text(title)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _row(
    index: int, cell: CellRow, axes: Sequence[str], columns: Sequence[tuple[Figure, tuple[float, str]]], base: str
) -> str:
    entry, result = cell.entry, cell.result
    style = OUTCOMES[cell.outcome][0]
    power = f' <button type="button" class="show" data-cell="{index}">power</button>' if cell.power else ""
    parts = [
        f'<th scope="row" data-v="{text(entry.cell_id)}">{text(entry.cell_id)}</th>',
        f'<td data-v="{_ORDER.get(cell.outcome, 9)}">{badge(cell.outcome)} {flags(cell)}</td>',
    ]
    for figure, (factor, _) in columns:
        value, ends = result.figure(figure.metric) if result is not None else (None, None)
        shown = number(None if value is None else value / factor)
        parts.append(_entry(value, f"{_mark(cell)}{shown}" if value is not None and _is_energy(figure) else shown))
        if figure.interval:
            parts.append(f'<td class="n">{_interval(ends, factor)}</td>')
    parts += [_entry(cell.varied.get(path), plain(cell.varied.get(path))) for path in axes]
    device = ", ".join(dict.fromkeys(d.name for d in result.devices)) if result is not None else ""
    parts += [_entry(device, device), f'<td class="files">{links(cell.files, base)}{power}</td>']
    return f'<tr data-i="{index}" data-outcome="{cell.outcome}" class="{style}">{"".join(parts)}</tr>'


def _entry(value: object, shown: str) -> str:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    key = "" if value is None else text(value)
    return f'<td{" class=n" if numeric or value is None else ""} data-v="{key}">{text(shown)}</td>'


def _interval(ends: tuple[float, float] | None, factor: float) -> str:
    return "–" if ends is None else f"{number(ends[0] / factor)} … {number(ends[1] / factor)}"


def _mark(cell: CellRow) -> str:
    """Before a figure that is not to be trusted as measured."""
    return "≈ " if cell.estimated else "! " if cell.invalid else ""


def _is_energy(figure: Figure) -> bool:
    return figure.metric.endswith(("_j", "_w"))


def _values(cells: Sequence[CellRow], figure: Figure) -> list[float]:
    found = [cell.result.figure(figure.metric)[0] for cell in cells if cell.result is not None]
    return [value for value in found if value is not None]


def _factor(cells: Sequence[CellRow], figure: Figure) -> tuple[float, str]:
    return scale(statistics.median(_values(cells, figure))) if figure.scaled else (1.0, "")
