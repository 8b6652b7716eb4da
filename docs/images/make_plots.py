"""Draws the plots of the page about measuring: needs vl-convert-python (extra ``report``).

``errors.svg`` from the page's table, which a test compares with what the benchmark prints; ``window.svg`` from one of
the H200's traces that the tests use.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import vl_convert

from pytest_llem.energy.trace import read_traces

HERE = Path(__file__).parent
TRACES = HERE.parents[1] / "tests" / "data" / "h200_traces.json.gz"
TRACE = "decode_b32_0.3"
COLOURS = {"range": {"category": ["#1b6ca8", "#8a8a8a", "#d1495b", "#edae49"]}}
STYLE = {
    "config": {
        **COLOURS,
        "font": "sans-serif",
        "view": {"stroke": None},
        "legend": {"orient": "top", "labelLimit": 300},
    },
    "background": "white",
    "width": 560,
}

Plot = dict[str, Any]


def errors() -> Plot:
    """Error by length of the window, a line for each method."""
    page = (HERE.parent / "measuring.md").read_text().partition("As recorded\n")[2].partition("Cut to")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*", page, re.M)
    ]
    points = [
        {"window": float(row[0].removesuffix(" s")), "method": method, "error": float(value)}
        for row in rows
        for method, value in zip(head[1:-1], row[1:-1], strict=True)
    ]
    logarithmic = {"type": "log"}
    return {
        "data": {"values": points},
        "height": 260,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "window",
                "type": "quantitative",
                "scale": {**logarithmic, "domain": [0.13, 3]},
                "axis": {"title": "length of the window, s", "values": [0.15, 0.3, 0.6, 1.2, 2.5], "grid": False},
            },
            "y": {
                "field": "error",
                "type": "quantitative",
                "scale": {**logarithmic, "domain": [0.1, 60]},
                "axis": {"title": "rms error, %", "values": [0.1, 0.3, 1, 3, 10, 30], "format": "~g"},
            },
            "color": {"field": "method", "type": "nominal", "sort": head[1:-1], "legend": {"title": None}},
        },
    }


def window() -> Plot:
    """Power around one window: the mean between two steps of the counter, and the two fields that NVML has."""
    trace = next(trace for trace in read_traces(TRACES) if trace.name == TRACE)
    kinds = ["mean between two steps of the counter", "instant power", "default power (mean of a second)"]
    steps = np.flatnonzero(np.diff(trace.energy[:, 2])) + 1
    times, energy = trace.energy[steps, 0] - trace.t0, trace.energy[steps, 2]
    powers = np.diff(energy) / np.diff(times)
    points = [
        *(_point(time, power, kinds[0]) for time, power in zip(times, [*powers, powers[-1]], strict=True)),
        *(_point(row[0] - trace.t0, row[column], kinds[column]) for row in trace.power for column in (1, 2)),
    ]
    edges = {"field": "power", "type": "quantitative", "axis": {"title": "W"}}
    line = {"color": {"field": "kind", "type": "nominal", "sort": kinds, "legend": {"title": None}}}
    time = {"field": "time", "type": "quantitative", "axis": {"title": "time since the window began, s", "grid": False}}
    layers = [
        {"transform": [{"filter": f"datum.kind {sign} '{kinds[0]}'"}], "mark": {"type": "line", "interpolate": how}}
        for sign, how in (("!=", "linear"), ("==", "step-after"))
    ]
    shade = {
        "data": {"values": [{"from": 0, "to": round(trace.t1 - trace.t0, 4)}]},
        "mark": {"type": "rect", "color": "#e3ecf4"},
        "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }
    values = {"data": {"values": points}, "encoding": {"x": time, "y": edges, **line}, "layer": layers}
    return {"height": 220, "layer": [shade, values]}


def _point(time: float, power: float, kind: str) -> Plot:
    return {"time": round(float(time), 4), "power": round(float(power), 1), "kind": kind}


def drawn() -> dict[Path, str]:
    """Each plot by its file."""
    plots = {"errors": errors(), "window": window()}
    return {HERE / f"{name}.svg": vl_convert.vegalite_to_svg({**STYLE, **plot}) for name, plot in plots.items()}


if __name__ == "__main__":
    for path, text in drawn().items():
        path.write_text(text)
