"""The table of all cells: which columns it has, and what stands in them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.units import NONE, number, scale
from pytest_llem.study.metrics import METRICS

MOST_AXES = 5  # columns of swept values; a study with more is better read by its cells' names


@dataclass(frozen=True)
class Figure:
    """A figure of which each cell has one; of a latency, the median."""

    title: str
    metric: str
    per: str = ""  # after the unit in a heading
    interval: bool = False

    @property
    def what(self) -> str:
        """The figure in words."""
        return METRICS[self.metric].what + (", median" if METRICS[self.metric].statistics else "")


FIGURES = (
    Figure("energy", "energy_per_output_token_j", "/token", interval=True),
    Figure("energy", "energy_per_request_j", "/request"),
    Figure("output", "output_tokens_per_s"),
    Figure("power", "mean_power_w"),
    Figure("TTFT", "ttft_s"),
    Figure("TPOT", "tpot_s"),
    Figure("peak memory", "peak_memory_bytes"),
)


@dataclass(frozen=True)
class Column:
    """A figure's column: all of it is in one unit, which the heading names."""

    figure: Figure
    factor: float
    unit: str

    @property
    def title(self) -> str:
        return f"{self.figure.title}, {self.unit}"

    def of(self, cell: CellRow) -> tuple[float | None, str, str]:
        """A cell's value to sort by, the value as shown, and its interval."""
        value, ends = cell.result.figure(self.figure.metric) if cell.result is not None else (None, None)
        shown = number(None if value is None else value / self.factor)
        if value is not None and self.figure.metric.endswith(("_j", "_w")):
            shown = ("≈ " if cell.estimated else "! " if cell.invalid else "") + shown  # not to be trusted as measured
        return value, shown, NONE if ends is None else " … ".join(number(end / self.factor) for end in ends)


def columns(cells: Sequence[CellRow]) -> list[Column]:
    """The figures that at least one cell has."""
    found = []
    for figure in FIGURES:
        values = [cell.result.figure(figure.metric)[0] for cell in cells if cell.result is not None]
        known = [value for value in values if value is not None]
        if known:
            factor, unit = scale(statistics.median(known), METRICS[figure.metric].unit)
            found.append(Column(figure, factor, "tokens/s" if unit == "/s" else unit.strip() + figure.per))
    return found


def axes(cells: Sequence[CellRow]) -> list[str]:
    """The swept paths that have a column."""
    found = list(dict.fromkeys(path for cell in cells for path in cell.varied))
    return found if len(found) <= MOST_AXES else []
