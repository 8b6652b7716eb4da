"""The numbers behind the pictures, as JSON for the page's scripts. Rounded to what a picture can show."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from pytest_llem.report.html.background import verdict_of
from pytest_llem.report.html.data import CellRow, PageData
from pytest_llem.report.html.markup import plain, short
from pytest_llem.report.html.power import Power, Span
from pytest_llem.report.html.roofline import Position
from pytest_llem.results.comparison import Report
from pytest_llem.results.study_result import Configuration, Mean

METRICS = {
    "energy_per_output_token_j": ("energy per output token", "J"),
    "energy_per_request_j": ("energy per request", "J"),
    "output_tokens_per_s": ("output tokens per second", "/s"),
    "mean_power_w": ("mean power", "W"),
    "ttft_s": ("time to first token, median", "s"),
    "tpot_s": ("time per output token, median", "s"),
    "peak_memory_bytes": ("peak memory", "B"),
}
"""What can be drawn: title and unit."""

Json = Mapping[str, object]


def script_json(value: object) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def payload(data: PageData) -> Json:
    """Everything but the power curves, which are apart so that only the chosen one is parsed."""
    index = {cell.entry.cell_id: number for number, cell in enumerate(data.cells)}
    axes = _axes(data.configurations)
    drawn = [key for key in METRICS if any(key in c.figures for c in data.configurations)]
    backends = {c.entry.cell_id: c.result.config.get("backend") for c in data.cells if c.result is not None}
    return {
        "cells": [_cell(cell) for cell in data.cells],
        "axes": [{"path": path, "title": short(path), "values": values} for path, values in axes.items()],
        "metrics": [{"key": key, "title": METRICS[key][0], "unit": METRICS[key][1]} for key in drawn],
        "configurations": [_configuration(c, index) for c in data.configurations],
        "positions": [_position(p, str(backends.get(p.cell_id, "–"))) for p in data.positions],
        "comparisons": _comparisons(data.comparison),
    }


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
    result = cell.result
    return {
        "id": cell.entry.cell_id,
        "power": cell.power is not None,
        "idle": _round(result.loaded_idle_power_w) if result is not None else None,
        "state": "estimated" if cell.estimated else "invalid" if cell.invalid else "measured",
    }


def _configuration(configuration: Configuration, index: Mapping[str, int]) -> Json:
    first = configuration.cell_ids[0]
    return {
        "name": re.sub(r"-c\d+$", "", first) if len(configuration.cell_ids) > 1 else first,
        "varied": {path: plain(value) for path, value in configuration.varied.items()},
        "figures": {key: _mean(mean) for key in METRICS if (mean := configuration.figures.get(key)) is not None},
        "state": "invalid" if not configuration.valid else "measured" if configuration.measured else "estimated",
        "cell": index[first],
    }


def _mean(mean: Mean) -> list[float | int | None]:
    low, high = mean.ci95 if mean.ci95 is not None else (None, None)
    return [_round(mean.value), _round(low), _round(high), mean.n]


def _position(position: Position, backend: str) -> Json:
    return {
        "id": position.cell_id,
        "backend": backend,
        "device": position.device,
        "x": _round(position.intensity),
        "y": _round(position.flops_per_s),
        "atLeast": position.at_least,
        "peak": position.peak_flops_per_s,
        "bandwidth": position.bandwidth_bytes_per_s,
    }


def _comparisons(report: Report | None) -> list[Json]:
    """Those that have an interval to draw."""
    found: list[Json] = []
    for c in report.comparisons if report is not None else ():
        if c.ratio is not None and c.interval is not None and all(map(math.isfinite, c.interval)):
            change = [_round(value - 1) for value in (c.ratio, *c.interval)]
            found.append({"name": f"{c.label}  {c.metric}", "verdict": verdict_of(c), "change": change})
    return found


def power_json(power: Power) -> Json:
    """One cell's curve."""
    return {
        "lines": [{"device": line.device, "t": line.times_ms, "w": line.power_w} for line in power.lines],
        "windows": _spans(power.windows),
        "phases": _spans(power.phases),
        "samples": power.samples,
        "points": sum(len(line.times_ms) for line in power.lines),
        "field": power.field,
    }


def _spans(found: Sequence[Span]) -> list[list[str | int]]:
    return [[span.label, span.start_ms, span.end_ms] for span in found]


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
