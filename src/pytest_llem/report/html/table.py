"""The table of all cells: which columns it has, and what stands in them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llem.report.html.data import CellRow
from pytest_llem.report.units import NONE, number, scale

MOST_AXES = 5  # columns of swept values; a study with more is better read by its cells' names


@dataclass(frozen=True)
class Figure:
    """A figure of which each cell has one."""

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
            factor, unit = scale(statistics.median(known), figure.unit)
            found.append(Column(figure, factor, "tokens/s" if figure.unit == "1/s" else unit.strip()))
    return found


def axes(cells: Sequence[CellRow]) -> list[str]:
    """The swept paths that have a column."""
    found = list(dict.fromkeys(path for cell in cells for path in cell.varied))
    return found if len(found) <= MOST_AXES else []
