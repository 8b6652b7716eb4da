"""The energy gate of a session: at its end, budgets over cycles, the baseline, and the reports that were asked for.

One object, registered only where results come together. It learns from the reports in which folders results lie; the
rest is read from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.options import options_of

if TYPE_CHECKING:
    from pytest_llem.baselining import BaselineGate
    from pytest_llem.results.comparison import Report
    from pytest_llem.results.judgement import Runs


class Gating:
    """Hooks as methods; see the module's docstring. Raises pytest.UsageError for what cannot be compared with."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._options = options_of(config)
        self._gate = _gate(config)
        # On this command line: what a configuration says holds for runs of other tests, too, which compare nothing.
        self._asked = any(str(told).startswith("--llem-compare") for told in config.invocation_params.args)
        self._replaces = self._options.save is not None and self._options.save.exists()
        self._folders: dict[Path, None] = {}
        self._places: dict[str, tuple[str, int]] = {}  # by configuration hash
        self._excused: set[str] = set()  # configurations with an item that is expected to fail
        self._runs: Runs | None = None
        self.report: Report | None = None
        self._failures: tuple[str, ...] = ()  # of the session as a whole
        self._failed: dict[str, str] = {}  # experiments, by test
        self._said: list[tuple[str, str]] = []  # text and colour

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = dict(report.user_properties)
        if report.failed and any(name.startswith("llem.") for name in found):
            how = {"over_budget": "over budget", "inconclusive": "inconclusive"}
            self._failed[report.nodeid] = f"{report.nodeid}: {how.get(str(found.get('llem.verdict')), 'failed')}"
        if report.when != "call" or "llem.result" not in found:
            return
        config_hash = str(found["llem.config_hash"])
        self._folders[Path(str(found["llem.result"])).parent.parent] = None
        self._places[config_hash] = self._place(report.location)
        if hasattr(report, "wasxfail"):
            self._excused.add(config_hash)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Told before anything runs; pytest-xdist's controller, which collects nothing, tells it in the end."""
        alone = [getattr(getattr(item, "cell", None), "variant", None) is None for item in session.items]
        if self._options.fail_on_given and self._options.compare is None and alone and all(alone):
            raise pytest.UsageError(_NOTHING)

    def pytest_llem_study_finished(self, folder: str) -> None:
        """A run that was gone on with has results from before, even when none was added. Its manifest has just got its
        end, too, which pytest-json-report asks for before."""
        self._folders[Path(folder)] = None
        self._runs = None

    @pytest.hookimpl(wrapper=True, trylast=True)  # innermost: after all plain ones, before the terminal's summary
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        result = yield
        self._conclude(session.exitstatus)
        if self._failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """pytest-json-report: the study-level figures, and the exit code that there will be."""
        self._conclude(json_report.get("exitcode", 0))
        if self._runs is None:
            return
        from pytest_llem.report.study_json import comparison_data, plain

        if self._failures and json_report.get("exitcode") == pytest.ExitCode.OK:
            json_report["exitcode"] = int(pytest.ExitCode.TESTS_FAILED)
        json_report["llem"] = {
            "runs": [str(folder) for folder in self._folders],
            "over_cycles": plain(self._runs.over_cycles),
            "comparison": None if self.report is None else comparison_data(self.report),
            "failures": self._all_failures(),
        }

    @pytest.hookimpl(trylast=True)  # below the table of results
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._said:
            terminalreporter.section("energy gate", sep="-")
        for text, style in self._said:
            terminalreporter.write_line(text, **({style: True} if style else {}))
        if self._runs is not None and os.environ.get("GITHUB_ACTIONS") == "true":
            for line in self._annotations(self._runs):
                terminalreporter.write_line(line)

    def _conclude(self, exitstatus: int) -> None:
        """Read, judge and write, once; again only when another run has come to light."""
        if self._runs is not None or self._config.getoption("collectonly"):
            return
        if not (self._folders or self._options.compare):
            if any((self._options.save, self._options.json, self._options.html, self._options.md)):
                self._said = [("nothing was measured: no file that was asked for is written", "yellow")]
            return
        from pytest_llem.report.gate_text import cycle_lines
        from pytest_llem.results.judgement import Runs, failures

        self._said.clear()
        broken: list[str] = []
        self._runs = runs = Runs.read(folder for folder in self._folders if (folder / "manifest.json").exists())
        self._said += cycle_lines(runs.over_cycles)
        self._attempt(partial(self._compare, runs), broken)
        self._failures = failures(
            self.report if self._options.fail_on else None,
            runs.over_cycles,
            inconclusive_fails=self._options.inconclusive == "fail",
            must_compare=self._asked,
            excused=frozenset(self._excused),
        )
        self._failures += tuple(broken)
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self._write(runs, broken, complete=ended and (runs.complete or not self._replaces))
        self._failures += tuple(line for line in broken if line not in self._failures)
        self._said += [(f"the run fails: {line}", "red") for line in self._failures]

    def _compare(self, runs: Runs) -> None:
        from pytest_llem.baselining import BaselineGate
        from pytest_llem.report.gate_text import comparison_lines

        if not (self._options.compare or runs.has_variants):
            if self._options.fail_on_given:
                raise LlemError(_NOTHING)
            return
        gate = self._gate or BaselineGate.load(self._options)
        self.report = gate.judge(runs)
        title = "variants compared" if gate.path is None else f"compared with {_short(gate.path)}"
        self._said.append((title + ("" if gate.enforced else " (only told)"), ""))
        self._said += comparison_lines(self.report)

    def _write(self, runs: Runs, broken: list[str], *, complete: bool) -> None:
        from pytest_llem.outputs import Outputs

        outputs = Outputs(self._options, runs, tuple(self._folders), self.report, self._all_failures())
        if self._options.save is not None and not complete:
            self._said.append((f"not kept, the run is not complete: {_short(self._options.save)}", "yellow"))
        for path, write in outputs.wanted(keep=complete):
            if self._attempt(write, broken):
                self._said.append((f"written: {_short(path)}", ""))
        if self._options.save is not None and complete and runs.results:
            try:
                outputs.learn()
            except LlemError as error:  # a home that cannot be written to is no regression
                self._said.append((f"how the figures vary was not remembered: {error}", "yellow"))

    def _all_failures(self) -> list[str]:
        return [*self._failed.values(), *self._failures]

    def _attempt(self, act: Callable[[], None], broken: list[str]) -> bool:
        """What was asked for and cannot be done fails the run, with its reason, and stops nothing else."""
        try:
            act()
        except LlemError as error:
            broken.append(str(error))
            return False
        return True

    def _annotations(self, runs: Runs) -> list[str]:
        from pytest_llem.report.annotations import budget_annotations, comparison_annotations

        judged = [result for result in runs.results if result.config_hash not in self._excused]
        lines = budget_annotations(judged, self._places)
        return lines if self.report is None else [*lines, *comparison_annotations(self.report, self._places)]

    def _place(self, location: tuple[str, int | None, str]) -> tuple[str, int]:
        """File, relative to the repository, and line, from 1."""
        file, line, _ = location
        repository = os.environ.get("GITHUB_WORKSPACE") or self._config.rootpath
        return os.path.relpath(self._config.rootpath / file, repository), (line or 0) + 1


_NOTHING = "--llem-fail-on needs a baseline: name it with --llem-compare=NAME, or give a study variants"


def _gate(config: pytest.Config) -> BaselineGate | None:
    options = options_of(config)
    if options.compare is None and not options.fail_on_given:
        return None
    from pytest_llem.baselining import BaselineGate

    try:
        return BaselineGate.load(options)
    except LlemError as error:
        raise pytest.UsageError(str(error)) from None


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
