"""The whole run as the controller sees it: manifests kept true, results gathered, the summary printed.

One object, registered only where results come together: in a serial run, or on xdist's controller. It learns everything
from reports, so that it is the same with and without xdist. Light to import; manifests are read when there is a study.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llem.options import options_of
from pytest_llem.report.table import Row, layout, row

if TYPE_CHECKING:
    from pytest_llem.results.manifest import Entry, Manifest

NAME = "llem-controller"
_PREFIX = "llem."
_YAML = (".yaml", ".yml")


@dataclass
class Run:
    """One run of one study, as its manifest tells it."""

    folder: Path
    manifest: Manifest
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)  # nodeid -> flat figures

    def update(self, nodeid: str, **changes: Any) -> None:
        from pytest_llem.results.manifest import write_manifest

        entry = next((entry for entry in self.manifest.cells if entry.nodeid == nodeid), None)
        if entry is not None:
            self.manifest = self.manifest.with_entries([entry.model_copy(update=changes)])
            write_manifest(self.folder / "manifest.json", self.manifest)

    def finish(self, interrupted: bool) -> None:
        from pytest_llem.results.manifest import write_manifest

        status = "interrupted" if interrupted else "finished"
        cells = [_closed(entry) for entry in self.manifest.cells]
        self.manifest = self.manifest.with_entries(cells).model_copy(update={"status": status, "finished_at": now()})
        write_manifest(self.folder / "manifest.json", self.manifest)


def _closed(entry: Entry) -> Entry:
    return entry.model_copy(update={"status": "interrupted"}) if entry.status == "running" else entry


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_stamp() -> str:
    """What makes a run unique: UTC time and four hexadecimal digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


class Controller:
    """Hooks as methods; see the module's docstring."""

    def __init__(self, config: pytest.Config, stamp: str) -> None:
        self.config = config
        self.stamp = stamp
        self._runs: dict[Path, Run] = {}
        self._by_node: dict[str, Run] = {}
        self._looked = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: every worker writes into the same run."""
        node.workerinput["llem_stamp"] = self.stamp

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if (run := self._run_of(nodeid)) is not None:
            run.update(nodeid, status="running", started_at=now())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        run = self._run_of(report.nodeid)
        if run is None or not (report.when == "call" or not report.passed):
            return
        figures = {k.removeprefix(_PREFIX): v for k, v in report.user_properties if k.startswith(_PREFIX)}
        status = _status(report, figures)
        run.figures[report.nodeid] = {**figures, "status": status}
        changes: dict[str, Any] = {"status": status, "finished_at": now()}
        if "result" in figures:
            changes["result"] = os.path.relpath(str(figures["result"]), run.folder)
        if report.failed:
            changes["error_type"] = str(figures.get("error_type") or "AssertionError")
            changes["error_message"] = report.longreprtext[:4000]
        run.update(report.nodeid, **changes)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        for run in self._runs.values():
            run.finish(interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
            self.config.hook.pytest_llem_study_finished(
                config=self.config, study=run.manifest.study, folder=str(run.folder)
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for run in self._runs.values():
            if run.figures:
                _print_run(terminalreporter, run)

    def _run_of(self, nodeid: str) -> Run | None:
        """The run that a study item belongs to; found through the manifests that the run's processes have written."""
        if not nodeid.partition("::")[0].endswith(_YAML):
            return None
        if nodeid not in self._by_node and not self._looked:
            self._look()
        return self._by_node.get(nodeid)

    def _look(self) -> None:
        from pytest_llem.results.manifest import read_manifest

        for path in sorted(options_of(self.config).results.glob(f"*-{self.stamp}*/manifest.json")):
            run = Run(path.parent, read_manifest(path))
            self._runs[path] = run
            self._by_node.update({entry.nodeid: run for entry in run.manifest.cells})
        self._looked = True


def _status(report: pytest.TestReport, figures: dict[str, Any]) -> str:
    if report.skipped:
        return "skipped"
    if report.passed:
        return "passed"
    if report.when != "call":
        return "error"
    return "over_budget" if figures.get("verdict") == "over_budget" else "failed"


def _print_run(terminal: pytest.TerminalReporter, run: Run) -> None:
    rows: list[Row] = []
    for entry in run.manifest.cells:
        figures = run.figures.get(entry.nodeid)
        if figures is not None:
            status = "inconclusive" if figures.get("verdict") == "inconclusive" else str(figures["status"])
            rows.append(row(entry.cell_id, figures, status))
    width = shutil.get_terminal_size().columns
    header, lines = layout(rows, width)
    terminal.section(f"energy: {run.manifest.study}", sep="-")
    terminal.write_line(header, bold=True)
    for text, verdict, style in lines:
        terminal.write(text)
        terminal.write_line(verdict, **{style: True})
    waiting = len(run.manifest.cells) - len(rows)
    if waiting:
        terminal.write_line(f"{waiting} of {len(run.manifest.cells)} experiments were not run")
    if any(figures.get("measured") is False for figures in run.figures.values()):
        terminal.write_line("ESTIMATED: no power meter was used; see `llem doctor`", yellow=True)
    terminal.write_line(f"results: {_short(run.folder)}")


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
