"""The table of all cells: plain HTML with a sortable value on each entry, so that it can be read without scripts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.html.markup import OUTCOMES, badge, flags, links, plain, short, text
from pytest_llem.report.units import NONE, number, scale

MOST_AXES = 5  # columns of swept values; a study with more is better read by its cells' names
MANY = 300  # rows; from here on the browser lays the table out only when it comes into view
_ORDER = {name: number for number, name in enumerate(("error", "failed", "over_budget", "interrupted", "inconclusive"))}


@dataclass(frozen=True)
class Figure:
    """A figure of which each cell has one. As a column, all of it is in one unit, which the heading names."""

    title: str
    unit: str
    metric: str
    explanation: str
    interval: bool = False


FIGURES = (
    Figure("energy", "J/token", "energy_per_output_token_j", "energy for each generated token", interval=True),
    Figure("energy", "J/request", "energy_per_request_j", "energy for each request"),
    Figure("output", "1/s", "output_tokens_per_s", "generated tokens in a second"),
    Figure("power", "W", "mean_power_w", "energy over duration"),
    Figure("TTFT", "s", "ttft_s.median", "time to the first token, median"),
    Figure("TPOT", "s", "tpot_s.median", "time for each token after the first, median"),
    Figure("peak memory", "B", "peak_memory_bytes", "largest amount of memory in use"),
)


@dataclass(frozen=True)
class _Column:
    """A figure with the factor and the unit of its column."""

    figure: Figure
    factor: float
    unit: str

    @classmethod
    def of(cls, figure: Figure, cells: Sequence[CellRow]) -> _Column | None:
        """None where no cell has the figure."""
        found = [cell.result.figure(figure.metric)[0] for cell in cells if cell.result is not None]
        values = [value for value in found if value is not None]
        return cls(figure, *scale(statistics.median(values), figure.unit)) if values else None

    def head(self) -> str:
        unit = "tokens/s" if self.figure.unit == "1/s" else self.unit.strip()
        interval = f'<th scope="col" class="n" title="{unit}">95 % interval</th>' if self.figure.interval else ""
        return _head(f"{self.figure.title}, {unit}", self.figure.explanation, numeric=True) + interval

    def entries(self, cell: CellRow) -> str:
        value, ends = cell.result.figure(self.figure.metric) if cell.result is not None else (None, None)
        shown = number(None if value is None else value / self.factor)
        if value is not None and self.figure.metric.endswith(("_j", "_w")):
            shown = ("≈ " if cell.estimated else "! " if cell.invalid else "") + shown  # not to be trusted as measured
        interval = NONE if ends is None else " … ".join(number(end / self.factor) for end in ends)
        return _entry(value, shown) + (f'<td class="n">{interval}</td>' if self.figure.interval else "")


def table(cells: Sequence[CellRow], base: str) -> str:
    """The whole table element; ``base``: the run's folder as the page sees it."""
    axes = list(dict.fromkeys(path for cell in cells for path in cell.varied))
    axes = axes if len(axes) <= MOST_AXES else []
    columns = [column for figure in FIGURES if (column := _Column.of(figure, cells)) is not None]
    lines = [_row(index, cell, axes, columns, base) for index, cell in enumerate(cells)]
    head = [_head("experiment"), _head("verdict"), *(column.head() for column in columns)]
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


def _row(index: int, cell: CellRow, axes: Sequence[str], columns: Sequence[_Column], base: str) -> str:
    name = text(cell.entry.cell_id)
    power = f' <button type="button" class="show" data-cell="{index}">power</button>' if cell.power else ""
    device = ", ".join(dict.fromkeys(d.name for d in cell.result.devices)) if cell.result is not None else ""
    parts = [
        f'<th scope="row" data-v="{name}">{name}</th>',
        f'<td data-v="{_ORDER.get(cell.outcome, 9)}">{badge(cell.outcome)} {flags(cell)}</td>',
        *(column.entries(cell) for column in columns),
        *(_entry(cell.varied.get(path), plain(cell.varied.get(path))) for path in axes),
        _entry(device, device),
        f'<td class="files">{links(cell.files, base)}{power}</td>',
    ]
    style = OUTCOMES[cell.outcome][0]
    return f'<tr data-i="{index}" data-outcome="{cell.outcome}" class="{style}">{"".join(parts)}</tr>'


def _entry(value: object, shown: str) -> str:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    key = "" if value is None else text(value)
    return f'<td{" class=n" if numeric or value is None else ""} data-v="{key}">{text(shown)}</td>'
