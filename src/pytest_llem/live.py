"""A bench that pytest runs: its settings come from the options, and its progress goes to the terminal."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, cast

import pytest

from pytest_llem.energy.gpus import Gpu
from pytest_llem.options import options_of
from pytest_llem.report.live import LogLines, Pace, TerminalLine
from pytest_llem.report.units import duration
from pytest_llem.reporting import LlemWarning
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import RunFolder
from pytest_llem.runners.bench import Bench, Settings
from pytest_llem.runners.devices import DevicePlan, check
from pytest_llem.runners.locks import default_lock_dir, hold
from pytest_llem.runners.measuring import Measurement, measure
from pytest_llem.runners.progress import Progress
from pytest_llem.study.study import Cell

WORDS = {
    "waiting": "waiting",
    "gap": "pausing between experiments",
    "again": "trying once more",
    "starting": "starting the worker",
    "loading": "loading the model",
    "loaded": "model loaded",
    "warmup": "warming up",
    "window": "measuring",
    "finishing": "finishing",
}
planned_key: pytest.StashKey[Sequence[Cell]] = pytest.StashKey()  # every cell that this session is to run


class _Display(Protocol):
    def show(self, text: str) -> None: ...
    def clear(self) -> None: ...


class WatchedBench:
    """Runs cells for study items and for the ``llem`` fixture."""

    def __init__(self, config: pytest.Config) -> None:
        options = options_of(config)
        planned = config.stash.get(planned_key, ())
        self._bench = Bench(
            Settings(
                meter=options.meter,
                gpus=options.gpus,
                busy=options.busy,
                share_engine=options.isolation == "engine",
                images=options.images,
                skip_preflight=options.skip_preflight,
                accept_changes=options.accept_changes,
                lock_dir=options.lock_dir or default_lock_dir(),
            ),
            amend=lambda found: config.hook.pytest_llem_environment(config=config, environment=found),
            warn=lambda text: warnings.warn(LlemWarning(text), stacklevel=1),
            planned=planned,
        )
        self._pace = Pace(len(planned))
        self._window_s = 0.0  # of the running experiment, with the idle time beside it
        self._lock_dir = options.lock_dir or default_lock_dir()
        self._busy = options.busy
        self._config = config
        with _uncaptured(config):
            self._display = _display(config)

    def run(self, cell: Cell, folder: RunFolder, base: Path, retries: int = 0) -> tuple[ExperimentResult, Path]:
        """Run one experiment, showing how it goes."""
        self._pace.begin()
        self._window_s = cell.config.measure.min_window_s + (cell.config.measure.bracket_s or 0.5)
        try:
            return self._bench.run(cell, folder, base, self._listen, retries)
        finally:
            self._pace.end()
            self._say(None)

    @property
    def plan(self) -> DevicePlan:
        """Meter and devices of this run."""
        return self._bench.plan

    def measure(self, label: str = "block") -> AbstractContextManager[Measurement]:
        """Measure the body of a ``with`` block on all devices of this run."""
        self._bench.release()
        return measure(self.plan, self._lock_dir, label)

    @contextmanager
    def hold_gpu(self) -> Iterator[Gpu]:
        """Lock one GPU and check that it is free."""
        self._bench.release()
        with hold(self.plan.lock_names(), 1, self._lock_dir) as (locks, _):
            gpu = self.plan.gpus_for(locks)[0]
            for finding in check([gpu], self._busy, lambda text: self._say(text)):
                warnings.warn(LlemWarning(finding.message), stacklevel=2)
            yield gpu

    def close(self) -> None:
        """End what is still running."""
        self._bench.close()

    def _listen(self, progress: Progress) -> None:
        count = f" {progress.done}/{progress.total}" if progress.total else ""
        detail = f": {progress.text}" if progress.text else ""
        needs_s = (progress.total - progress.done + 1) * self._window_s if progress.phase == "window" else None
        left_s = self._pace.left_s(needs_s)
        left = "" if left_s is None else f", about {duration(left_s)} left"
        word = WORDS.get(progress.phase, progress.phase)
        self._say(f"[{self._pace.place()}: {progress.cell_id}] {word}{count}{detail}{left}")

    def _say(self, text: str | None) -> None:
        if self._display is None:
            return
        with _uncaptured(self._config):
            if text is None:
                self._display.clear()
            else:
                self._display.show(text)


def _uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """Let writing through to the terminal, as pytest's own live log does."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return (
        nullcontext()
        if capture is None
        else cast("AbstractContextManager[None]", capture.global_and_fixture_disabled())
    )


def _display(config: pytest.Config) -> _Display | None:
    """None under ``-q``, and in xdist workers, which have no terminal."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or config.get_verbosity() < 0 or hasattr(config, "workerinput"):
        return None

    if not sys.stdout.isatty():
        return LogLines(_write)
    terminal = config.get_terminal_writer()
    return TerminalLine(_write, lambda: shutil.get_terminal_size().columns - terminal.width_of_current_line - 1)


def _write(text: str) -> None:
    """Not through the terminal reporter: it would count columns that are taken back at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
