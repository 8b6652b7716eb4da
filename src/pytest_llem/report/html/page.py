"""The page as one file: the templates filled in, style and scripts with them, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pytest_llem.report import units, words
from pytest_llem.report.html import background, looks, overview, table
from pytest_llem.report.html.data import PageData, gather
from pytest_llem.report.html.libraries import chart_library, templates
from pytest_llem.report.html.payload import payload, script_json
from pytest_llem.results.comparison import Report
from pytest_llem.results.store import write_text

SCRIPTS = ("shared.js", "table.js", "pictures.js", "power.js", "start.js")


def render(run_folder: Path, out: Path, *, comparison: Report | None = None) -> Path:
    """Write the report of a run to ``out`` and return it.

    Raises ResultError when the folder has no readable manifest or ``out`` cannot be written, MissingDependency without
    the libraries for plots and templates."""
    data = gather(run_folder, comparison)
    base = os.path.relpath(run_folder.resolve(), out.resolve().parent)
    write_text(out, page(data, base, chart_library()))
    return out


def page(data: PageData, base: str, library: str) -> str:
    """The HTML; ``base`` is the run's folder as seen from where the page will lie."""
    own = "(() => {\n" + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();"
    environment = templates()
    modules = {"units": units, "words": words, "looks": looks, "overview": overview, "background": background}
    environment.globals.update(modules, data=data, base=base, script_json=script_json)
    return environment.get_template("page.html").render(
        columns=table.columns(data.cells),
        axes=table.axes(data.cells),
        payload=payload(data),
        policy=_policy((library, own)),
        style=_asset("page.css"),
        library=library,
        own=own,
        most_problems=15,  # listed on top; the table has all of them
        most_names=12,  # cells named with a note; the table can be searched for the rest
        many=300,  # rows; from here on the browser lays the table out only when it comes into view
    )


def _policy(scripts: Iterable[str]) -> str:
    """Only these scripts run, and nothing is loaded: should an escape ever be forgotten, it stays text.

    Vega compiles its expressions, hence ``unsafe-eval``; its tooltips and legends set styles."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")
