"""The numbers behind the pictures, as JSON for the page's scripts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from pytest_llem.report.html.background import verdict_of
from pytest_llem.report.html.data import CellRow, PageData
from pytest_llem.report.html.looks import plain, short
from pytest_llem.report.html.table import FIGURES, Figure
from pytest_llem.results.comparison import Report
from pytest_llem.results.study_result import Configuration, Mean
from pytest_llem.study.metrics import METRICS

Json = Mapping[str, object]


def script_json(value: object) -> str:
    """JSON that is safe inside a script element; a dataclass becomes an object of its fields."""
    text = json.dumps(value, default=vars, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def payload(data: PageData) -> Json:
    """Everything but the power curves, which are apart so that only the chosen one is parsed."""
    index = {cell.entry.cell_id: number for number, cell in enumerate(data.cells)}
    drawn = [figure for figure in FIGURES if any(figure.metric in c.figures for c in data.configurations)]
    axes = _axes(data.configurations).items()
    return {
        "cells": [_cell(cell) for cell in data.cells],
        "axes": [{"path": path, "title": short(path), "values": values} for path, values in axes],
        "metrics": [_metric(figure) for figure in drawn],
        "configurations": [_configuration(c, [figure.metric for figure in drawn], index) for c in data.configurations],
        "positions": data.positions,
        "comparisons": _comparisons(data.comparison),
    }


def _metric(figure: Figure) -> Json:
    return {"key": figure.metric, "title": figure.what, "unit": METRICS[figure.metric].unit.removeprefix("1")}


def _axes(configurations: Sequence[Configuration]) -> dict[str, list[str]]:
    """Swept paths with their values in order, as shown."""
    found: dict[str, dict[str, JsonValue]] = {}
    for configuration in configurations:
        for path, value in configuration.varied.items():
            found.setdefault(path, {}).setdefault(plain(value), value)
    return {path: sorted(values, key=lambda shown: _order(values[shown])) for path, values in found.items()}


def _order(value: JsonValue) -> tuple[int, float, list[tuple[bool, int, str]]]:
    """Numbers first, by size; then texts as a person would sort them: 8b before 70b."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), []
    parts = re.findall(r"\d+|\D+", plain(value))
    return 1, 0.0, [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _cell(cell: CellRow) -> Json:
    return {
        "id": cell.entry.cell_id,
        "power": cell.power is not None,
        "idle": cell.result.loaded_idle_power_w if cell.result is not None else None,
        "state": "estimated" if cell.estimated else "invalid" if cell.invalid else "measured",
    }


def _configuration(configuration: Configuration, drawn: Sequence[str], index: Mapping[str, int]) -> Json:
    first = configuration.cell_ids[0]
    return {
        "name": re.sub(r"-c\d+$", "", first) if len(configuration.cell_ids) > 1 else first,
        "varied": {path: plain(value) for path, value in configuration.varied.items()},
        "figures": {key: _mean(mean) for key in drawn if (mean := configuration.figures.get(key)) is not None},
        "state": "invalid" if not configuration.valid else "measured" if configuration.measured else "estimated",
        "cell": index[first],
    }


def _mean(mean: Mean) -> list[float | None]:
    """Five digits, which is more than a picture shows: there are thousands of them."""
    values = (mean.value, *(mean.ci95 or (None, None)))
    return [*(None if value is None else float(f"{value:.5g}") for value in values), mean.n]


def _comparisons(report: Report | None) -> list[Json]:
    """Those that have an interval to draw."""
    return [
        {
            "name": f"{c.label}  {c.metric}",
            "verdict": verdict_of(c),
            "change": [value - 1 for value in (c.ratio, *c.interval)],
        }
        for c in (report.comparisons if report is not None else ())
        if c.ratio is not None and c.interval is not None and all(map(math.isfinite, c.interval))
    ]
