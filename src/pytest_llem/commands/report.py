"""``llem report``: a run that is on disk, as a table, and as the files that a session can write."""

from __future__ import annotations

import argparse
import shutil

from pytest_llem.errors import LlemError
from pytest_llem.report.benchmark_json import DEFAULT_METRICS, benchmark_json
from pytest_llem.report.gate_text import cycle_lines
from pytest_llem.report.markdown import cycles_markdown, results_markdown
from pytest_llem.report.study_json import study_json
from pytest_llem.report.table import Row, figures_of, layout, row, status_of
from pytest_llem.results.baseline import write_baseline
from pytest_llem.results.judgement import Runs, failures
from pytest_llem.results.manifest import Entry
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import write_text


def run(arguments: argparse.Namespace) -> int:
    """Print and write; raises LlemError."""
    runs = Runs.read(arguments.runs)
    if arguments.html is not None:
        if len(arguments.runs) > 1:
            raise LlemError("--html is of one run", hint="call it for each")
        from pytest_llem.report.html import render

        render(arguments.runs[0], arguments.html)
    if arguments.md is not None:
        write_text(arguments.md, cycles_markdown(runs.over_cycles) + results_markdown(runs.results))
    if arguments.baseline is not None:
        write_baseline(arguments.baseline, runs.baseline())
    if arguments.benchmark_json is not None:
        write_text(arguments.benchmark_json, benchmark_json(runs.baseline(), arguments.metric or DEFAULT_METRICS))
    if arguments.json:
        print(study_json(runs.studies, runs.over_cycles, None, failures(None, runs.over_cycles)), end="")
    else:
        print("\n".join([*_table(runs), *(text for text, _ in cycle_lines(runs.over_cycles))]))
    return 0


def _row(entry: Entry, result: ExperimentResult | None) -> Row:
    return row(entry.cell_id, {} if result is None else figures_of(result), status_of(entry.status, result))


def _table(runs: Runs) -> list[str]:
    lines = []
    for study in runs.studies:
        found = {result.cell_id: result for result in study.results}
        rows = [_row(entry, found.get(entry.cell_id)) for entry in study.manifest.cells]
        header, body = layout(rows, shutil.get_terminal_size().columns)
        lines += [f"{study.manifest.study}, {study.manifest.run_id}: {study.manifest.status}", header]
        lines += [text + verdict for text, verdict, _ in body]
        lines += [f"{cell}: {why}" for cell, why in study.unreadable.items()]
    return lines
