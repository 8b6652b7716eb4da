"""A bench that pytest runs: its settings come from the options, and its progress goes to the live view."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from pytest_llem.energy.gpus import Gpu
from pytest_llem.live import watching
from pytest_llem.options import options_of
from pytest_llem.reporting import LlemWarning
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import RunFolder
from pytest_llem.runners.bench import Bench
from pytest_llem.runners.devices import DevicePlan, check
from pytest_llem.runners.locks import default_lock_dir, hold
from pytest_llem.runners.measuring import Measurement, measure
from pytest_llem.runners.progress import Progress
from pytest_llem.runners.station import Settings
from pytest_llem.study.study import Cell

planned_key: pytest.StashKey[Sequence[Cell]] = pytest.StashKey()  # every cell that this session is to run


class WatchedBench:
    """Runs cells for study items and for the ``llem`` fixture."""

    def __init__(self, config: pytest.Config) -> None:
        options = options_of(config)
        self._config = config
        self._busy = options.busy
        self._lock_dir = options.lock_dir or default_lock_dir()
        self._locked: tuple[str, ...] = ()  # by llem_gpu
        self._bench = Bench(
            Settings(
                meter=options.meter,
                gpus=options.gpus,
                busy=options.busy,
                share_engine=options.isolation == "engine",
                images=options.images,
                skip_preflight=options.skip_preflight,
                accept_changes=options.accept_changes,
                lock_dir=self._lock_dir,
            ),
            amend=lambda found: config.hook.pytest_llem_environment(config=config, environment=found),
            warn=lambda text: warnings.warn(LlemWarning(text), stacklevel=1),
            planned=config.stash.get(planned_key, ()),
        )

    def run(self, cell: Cell, folder: RunFolder, base: Path, retries: int = 0) -> tuple[ExperimentResult, Path]:
        """Run one experiment, showing how it goes."""
        with watching(self._config, cell.id) as listen:
            return self._bench.run(cell, folder, base, listen, retries)

    @property
    def plan(self) -> DevicePlan:
        """Meter and devices of this run."""
        return self._bench.plan

    def measure(self, label: str = "block") -> AbstractContextManager[Measurement]:
        """Measure the body of a ``with`` block, on the GPU of ``llem_gpu`` if the test has it, else on all devices."""
        self._bench.release()
        return measure(self.plan, self._locked or self.plan.lock_names(), self._lock_dir, label)

    @contextmanager
    def hold_gpu(self) -> Iterator[Gpu]:
        """Lock one GPU and check that it is free; what the test measures meanwhile is measured on this one."""
        self._bench.release()
        with hold(self.plan.lock_names(), 1, self._lock_dir, lend=True) as (locks, _):
            gpu = self.plan.gpus_for(locks)[0]
            with watching(self._config, "llem_gpu") as listen:
                found = check([gpu], self._busy, lambda text: listen(Progress("llem_gpu", "waiting", text)))
            for finding in found:
                warnings.warn(LlemWarning(finding.message), stacklevel=2)
            self._locked = locks
            try:
                yield gpu
            finally:
                self._locked = ()
                self._bench.release()  # an engine kept for the next experiment uses the lock that ends here

    def close(self) -> None:
        """End what is still running."""
        self._bench.close()
