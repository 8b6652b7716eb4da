"""The whole run as the controller sees it: manifests kept true, results gathered, the summary printed.

One object, registered only where results come together: in a serial run, or on xdist's controller. It learns everything
from reports, so that it is the same with and without xdist. Light to import; manifests are read when there is a study.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.options import options_of
from pytest_llem.results.clock import new_stamp
from pytest_llem.termination import Termination

if TYPE_CHECKING:
    from pytest_llem.results.manifest import Status
    from pytest_llem.results.run import Run

NAME = "llem-controller"
_PREFIX = "llem."
_YAML = (".yaml", ".yml")


@dataclass
class _Watched:
    """A run, and the flat figures that its items have reported, by node id."""

    run: Run
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def has_result(self, nodeid: str) -> bool:
        """A result from before, which is not measured again."""
        entry = self.run.entry(nodeid)
        return entry is not None and entry.result is not None


def stamp_of(config: pytest.Config) -> str:
    """What names this run's folders: the controller's stamp, in every xdist worker."""
    if hasattr(config, "workerinput"):
        return str(config.workerinput["llem_stamp"])
    controller = config.pluginmanager.get_plugin(NAME)
    assert isinstance(controller, Controller)
    return controller.stamp


class Controller:
    """Hooks as methods; see the module's docstring."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.stamp = new_stamp()
        self._resumed: dict[Path, Run] = {}
        if options_of(config).resume:
            from pytest_llem.resuming import resume

            self.stamp, runs = resume(config)
            self._resumed = {run.folder.path: run for run in runs}
        self._runs: list[_Watched] = []
        self._by_node: dict[str, _Watched] = {}
        self._looked = False
        self._again: set[str] = set()  # node ids whose try has failed and will be repeated
        self._termination = Termination()
        self._trouble: str | None = None

    def pending(self) -> set[str]:
        """Node ids of the cells that have no result, once the run's processes have written manifests."""
        if not self._looked:
            self._look()
        return {entry.nodeid for one in self._runs for entry in one.run.manifest.cells if entry.result is None}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        watched = self._of(nodeid)
        if watched is not None and not watched.has_result(nodeid):
            self._keep(lambda: watched.run.started(nodeid))

    @pytest.hookimpl(tryfirst=True)  # before what makes entries of reports
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._only_last_try(report)
        figures = {k.removeprefix(_PREFIX): v for k, v in report.user_properties if k.startswith(_PREFIX)}
        watched = self._of(report.nodeid)
        if not (report.when == "call" or not report.passed):
            return
        if "run" in figures:
            watched = self._entered(report.nodeid, figures)
        if watched is None:
            return
        status = _status(report, figures)
        watched.figures[report.nodeid] = {**figures, "status": status}
        result = figures.get("result")
        error_type = str(figures.get("error_type") or "AssertionError") if report.failed else None
        run = watched.run
        self._keep(
            lambda: run.ended(
                report.nodeid,
                status,
                result=None if result is None else os.path.relpath(str(result), run.folder.path),
                error_type=error_type,
                error_message=report.longreprtext if report.failed else None,
            )
        )
        if (reason := run.count(status, measured=result is not None, error_type=error_type)) is not None:
            self._keep(lambda: run.stop(reason))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        for watched in self._runs:
            run = watched.run
            interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
            self._keep(partial(run.finished, interrupted=interrupted))
            run.let_go()
            self.config.hook.pytest_llem_study_finished(
                config=self.config, study=run.manifest.study, folder=str(run.folder.path)
            )
        seen = {watched.run.folder.path for watched in self._runs}
        for path, run in self._resumed.items():
            if path not in seen:  # refused, or nothing of it was selected: it stands as it stood
                self._keep(partial(run.finished, interrupted=True))

    def pytest_unconfigure(self) -> None:
        self._termination.restore()
        for run in self._resumed.values():
            run.let_go()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._trouble is not None:
            terminalreporter.write_line(f"the manifest could not be kept up to date: {self._trouble}", red=True)
        for watched in self._runs:
            if watched.figures or watched.run.manifest.status == "interrupted":
                _print_run(terminalreporter, watched)

    def _only_last_try(self, report: pytest.TestReport) -> None:
        """JUnit takes properties from each try of a test that is run again; only the last one's are to be there."""
        if str(report.outcome) == "rerun":
            self._again.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid in self._again:
            self._again.remove(report.nodeid)
            report.user_properties = [(k, v) for k, v in report.user_properties if not k.startswith(_PREFIX)]

    def _of(self, nodeid: str) -> _Watched | None:
        """The run that a study item belongs to; found through the manifests that the run's processes have written."""
        if not nodeid.partition("::")[0].endswith(_YAML):
            return None
        if not self._looked:
            self._look()
        return self._by_node.get(nodeid)

    def _entered(self, nodeid: str, figures: dict[str, Any]) -> _Watched:
        """The run that a test with the ``llem`` fixture belongs to, which lists it from now on."""
        from pytest_llem.fixture_runs import enter, open_run

        if not self._looked:
            self._look()
        path = Path(str(figures["run"]))
        watched = next((one for one in self._runs if one.run.folder.path == path), None)
        if watched is None:
            watched = _Watched(open_run(path, str(figures["study"]), self.config.rootpath / nodeid.partition("::")[0]))
            self._runs.append(watched)
        watched.figures.update(enter(watched.run, nodeid, figures))
        return watched

    def _look(self) -> None:
        from pytest_llem.results.run import Run

        for path in sorted(options_of(self.config).results.glob(f"*-{self.stamp}*/manifest.json")):
            run = Run.open(path.parent)
            if (before := self._resumed.get(path.parent)) is not None:
                before.manifest, run = run.manifest, before
            else:
                self._keep(run.hold)
            watched = _Watched(run)
            self._runs.append(watched)
            self._by_node.update({entry.nodeid: watched for entry in run.manifest.cells})
        if self._runs:
            self._termination.like_an_interrupt()
        self._looked = True

    def _keep(self, act: Callable[[], None]) -> None:
        """Change a manifest. A disk that is full must not end a session whose experiments may still be told."""
        try:
            act()
        except LlemError as error:
            self._trouble = str(error)


def _status(report: pytest.TestReport, figures: dict[str, Any]) -> Status:
    if report.skipped:
        return "skipped"
    if report.passed:
        return "passed"
    if report.when != "call":
        return "error"
    return "over_budget" if figures.get("verdict") == "over_budget" else "failed"


def _print_run(terminal: pytest.TerminalReporter, watched: _Watched) -> None:
    from pytest_llem.report.table import layout, row

    run = watched.run
    rows = []
    for entry in run.manifest.cells:
        figures = watched.figures.get(entry.nodeid)
        if figures is not None:
            status = "inconclusive" if figures.get("verdict") == "inconclusive" else str(figures["status"])
            rows.append(row(entry.cell_id, figures, status))
    devices = dict.fromkeys(str(f["device"]) for f in watched.figures.values() if f.get("device"))
    terminal.section(", ".join([f"energy: {run.manifest.study}", *devices]), sep="-")
    if rows:
        header, lines = layout(rows, shutil.get_terminal_size().columns)
        terminal.write_line(header, bold=True)
        for text, verdict, style in lines:
            terminal.write(text)
            terminal.write_line(verdict, **{style: True})
    if run.manifest.note:
        terminal.write_line(run.manifest.note, red=True)
    waiting = len(run.manifest.cells) - len(rows)
    if waiting:
        goes_on = "" if run.manifest.note else "; --llem-resume goes on with them"
        terminal.write_line(f"{waiting} of {len(run.manifest.cells)} experiments were not run{goes_on}")
    if any(figures.get("measured") is False for figures in watched.figures.values()):
        terminal.write_line("ESTIMATED: no power meter was used; see `llem doctor`", yellow=True)
    terminal.write_line(f"results: {_short(run.folder.path)}")


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
