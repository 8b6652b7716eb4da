"""The page as one file: sections put into the skeleton, style and scripts with them, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pytest_llem.report.html import background
from pytest_llem.report.html.data import PageData, gather
from pytest_llem.report.html.library import chart_library
from pytest_llem.report.html.markup import links, text
from pytest_llem.report.html.payload import payload, script_json
from pytest_llem.report.html.table import table
from pytest_llem.report.html.verdicts import verdicts
from pytest_llem.results.comparison import Report
from pytest_llem.results.store import write_atomic

SCRIPTS = ("shared.js", "table.js", "pictures.js", "power.js", "start.js")


def render(run_folder: Path, out: Path, *, comparison: Report | None = None) -> Path:
    """Write the report of a run to ``out`` and return it.

    Raises ResultError when the folder has no readable manifest or ``out`` cannot be written, MissingDependency without
    the plotting library."""
    data = gather(run_folder, comparison)
    base = os.path.relpath(run_folder.resolve(), out.resolve().parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, page(data, base, chart_library()).encode())
    return out


def page(data: PageData, base: str, library: str) -> str:
    """The HTML; ``base`` is the run's folder as seen from where the page will lie."""
    own = "(() => {\n" + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();"
    manifest = data.manifest
    parts = {
        "title": text(manifest.study),
        "policy": text(_policy((library, own))),
        "style": _asset("page.css"),
        "about": _about(data, base),
        "verdicts": verdicts(data.cells),
        "comparison": background.comparison(data.comparison),
        "table": table(data.cells, base),
        "where": background.where(data, base),
        "notes": background.notes(data.cells, base),
        "tool": text(manifest.tool_version),
        "data": script_json(payload(data)),
        "power": "\n".join(
            f'<script type="application/json" id="power-{number}">{script_json(cell.power)}</script>'
            for number, cell in enumerate(data.cells)
            if cell.power is not None
        ),
        "library": library,
        "own": own,
    }
    absent = {
        "comparison": data.comparison is None,
        "pareto": not any("energy_per_output_token_j" in c.figures for c in data.configurations),
        "axes": not any(c.varied for c in data.configurations),
        "watts": not any(cell.power for cell in data.cells),
        "roofline": not data.positions,
    }
    skeleton = _asset("page.html")
    for name, gone in absent.items():
        mark = re.escape(f"[[{name}]]")
        skeleton = re.sub(f"{mark}.*?{mark}\n" if gone else f"{mark}\n", "", skeleton, flags=re.DOTALL)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], skeleton)


def _about(data: PageData, base: str) -> str:
    manifest = data.manifest
    ended = f" to {manifest.finished_at}" if manifest.finished_at else ""
    status = "" if manifest.status == "finished" else f" <b>The run is {text(manifest.status)}.</b>"
    note = f" {text(manifest.note)}" if manifest.note else ""
    return (
        f"<p>Run <code>{text(manifest.run_id)}</code> of <code>{text(manifest.study_file)}</code>, "
        f"{text(manifest.started_at + ended)}.{status}{note} {links(data.files, base)}</p>"
    )


def _policy(scripts: Iterable[str]) -> str:
    """Only these scripts run, and nothing is loaded: should an escape ever be forgotten, it stays text.

    Vega compiles its expressions, hence ``unsafe-eval``; its tooltips and legends set styles."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")
