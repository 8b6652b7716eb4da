"""Tells while a run goes on how it does: a view on a terminal, seldom a line elsewhere. Not there under ``-q``.

Counts come from reports, as the manifest's do. What an experiment does at the moment comes from the process that runs
it: this one, or an xdist worker by a small file of its own, which is written when something changes and is only ever
read, so that neither waits for the other and a worker may die at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_llem.processes import temporary_prefix
from pytest_llem.report.live import Board, Step, view
from pytest_llem.report.screen import Screen

if TYPE_CHECKING:
    from pytest_llem.runners.progress import Listener, Progress

NAME, _INPUT = "llem-live", "llem_progress"
QUIET_S = 15.0  # a log gets a line at most this often


class Live:
    """Hooks as methods; ``pending`` gives the node ids of all cells without a result, once there are run folders."""

    def __init__(self, config: pytest.Config, pending: Callable[[], set[str]]) -> None:
        self._config = config
        self._pending = pending
        self._collected: Sequence[str] = ()  # by xdist's workers
        self._folder: Path | None = None  # where they tell
        self._own: Step | None = None  # of the experiment that this process runs
        self._said = 0.0

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._collected = ids

    @pytest.hookimpl(tryfirst=True)  # before the reporter begins a line
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if nodeid.partition("::")[0].endswith((".yaml", ".yml")) and nodeid in self._board.cells:
            self._board.running.add(nodeid)
            if self._folder:
                self._screen.show()
            elif not self._terminal:
                self._line(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        board: Board | None = self.__dict__.get("_board")
        if not board or report.nodeid not in board.running or str(report.outcome) == "rerun":
            return
        if report.when == "setup" and report.passed:
            return
        figures: dict[str, Any] = dict(report.user_properties)
        took_s = None if report.skipped else report.duration or None  # nothing is known of one whose worker died
        board.end(report.nodeid, took_s, figures.get("llem.energy_j"), estimated=not figures.get("llem.measured"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if self._folder:
            (self._folder / node.gateway.id).unlink(missing_ok=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if "_screen" in self.__dict__:
            self._screen.hide()

    def pytest_unconfigure(self) -> None:
        self.pytest_sessionfinish()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if (terminal := self.__dict__.get("_terminal")) is not None:
            terminal.close()

    def tell(self, step: Step | None) -> None:
        """What the experiment does that this process runs; None: it is over."""
        self._own = step
        if self._terminal:
            self._screen.show() if step else self._screen.hide()

    def folder(self) -> Path | None:
        """Where xdist's workers are to tell; None where nobody looks."""
        if self._folder is None and self._terminal:
            self._folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
        return self._folder

    @cached_property
    def _terminal(self) -> TextIO | None:
        """Ours alone: the program's own standard output leads elsewhere while pytest captures it."""
        manager = self._config.pluginmanager
        capture, reporter = manager.get_plugin("capturemanager"), manager.get_plugin("terminalreporter")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            if not reporter or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or not find_spec("rich"):
                return None
            return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")

    @cached_property
    def _board(self) -> Board:
        session = self._config.pluginmanager.get_plugin("session")
        assert session is not None
        collected = self._collected or [item.nodeid for item in session.items]
        return Board(self._pending() & set(collected))

    @cached_property
    def _screen(self) -> Screen:
        from rich.console import Console

        assert self._terminal
        writer, board = self._config.get_terminal_writer(), self._board
        console = Console(file=self._terminal, no_color=not writer.hasmarkup, highlight=False)
        screen = Screen(
            self._terminal, lambda width: view(console, board, list(self._steps()), time.monotonic(), width)
        )
        write = writer.write

        def write_undisturbed(msg: str, *, flush: bool = False, **markup: bool) -> None:
            with screen.cleared():
                write(msg, flush=True, **markup)

        writer.write = write_undisturbed  # type: ignore[method-assign]  # of this terminal only
        return screen

    def _steps(self) -> Iterator[Step]:
        if self._own:
            yield self._own
        for path in sorted(self._folder.iterdir()) if self._folder else ():
            with suppress(OSError, ValueError):  # it is being written, or gone
                yield Step(**json.loads(path.read_text()))

    def _line(self, nodeid: str) -> None:
        now = time.monotonic()
        self._said = self._said or now
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter and now - self._said >= QUIET_S:
            reporter.write_line(f"{nodeid.partition('::')[2]}: {self._board.words(now)}")
            self._said = now


def listen_to(node: Any) -> None:
    """Tell one of xdist's workers, before it starts, where to tell how its experiments go on."""
    live: Live | None = node.config.pluginmanager.get_plugin(NAME)
    if live and (folder := live.folder()):
        node.workerinput[_INPUT] = str(folder)


@contextmanager
def watching(config: pytest.Config, name: str) -> Iterator[Listener]:
    """Brings what is told of an experiment to the live view, wherever that is."""
    tell = _teller(config)
    now = time.monotonic()
    step = Step(name, now, now)

    def listen(progress: Progress) -> None:
        nonlocal step
        step = step.then(progress.phase, progress.text, progress.done, progress.total, time.monotonic())
        tell(step)

    tell(step)
    try:
        yield listen
    finally:
        tell(None)


def _teller(config: pytest.Config) -> Callable[[Step | None], None]:
    told: dict[str, str] = getattr(config, "workerinput", {})
    if _INPUT in told:
        path = Path(told[_INPUT], told["workerid"])

        def write(step: Step | None) -> None:
            with suppress(OSError):  # a full disk costs the view, not the run
                path.write_text(json.dumps(asdict(step))) if step else path.unlink(missing_ok=True)

        return write
    live: Live | None = config.pluginmanager.get_plugin(NAME)
    return live.tell if live else lambda step: None
