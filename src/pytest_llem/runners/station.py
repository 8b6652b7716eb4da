"""A place to measure: locked and checked devices, a recorder on them, and a worker, as long as experiments use them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.energy.idle import Finding
from pytest_llem.energy.record_format import Pace
from pytest_llem.energy.recorder import Recorder
from pytest_llem.energy.recording import Recording
from pytest_llem.errors import MeterError, RunnerError
from pytest_llem.processes import FOLDER, family, left_behind, temporary_prefix
from pytest_llem.results.store import LOG, RunFolder
from pytest_llem.runners.base import Busy, Launch
from pytest_llem.runners.conductor import Limits, Watcher, WorkerSession
from pytest_llem.runners.devices import DevicePlan, check, needed, newcomers, users
from pytest_llem.runners.fleet import Fleet
from pytest_llem.runners.job import WorkerResult
from pytest_llem.runners.locks import default_lock_dir, hold
from pytest_llem.runners.needs import needs_of
from pytest_llem.runners.progress import Listener, Progress
from pytest_llem.runners.sharing import engine_of
from pytest_llem.study.study import Cell

IDLE_S = 0.7  # how long the devices are watched without a worker: seven steps of an H200's counter


@dataclass(frozen=True)
class Settings:
    """What holds for all experiments of a bench."""

    meter: str = "auto"
    gpus: str | None = None  # indices within CUDA_VISIBLE_DEVICES
    busy: Busy = "warn"
    share_engine: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    lock_dir: Path = field(default_factory=default_lock_dir)
    skip_preflight: bool = False
    accept_changes: bool = False  # of machine, libraries and image since a run's earlier results


@dataclass(frozen=True)
class Together:
    """Recorders that are told the same."""

    recorders: tuple[Watcher, ...]

    def pace(self, pace: Pace) -> None:
        for recorder in self.recorders:
            recorder.pace(pace)

    def follow(self, pid: int) -> None:
        for recorder in self.recorders:
            recorder.follow(pid)


class Station:
    """Set up for a cell, and for those after it that can share its engine. Ends with :meth:`close`, whatever happened.

    ``base``: where relative paths in the experiment start."""

    def __init__(
        self,
        settings: Settings,
        plan: DevicePlan,
        fleet: Fleet,
        cell: Cell,
        folder: RunFolder,
        base: Path,
        say: Listener,
    ) -> None:
        self.served: list[str] = []  # cells, in order
        self.idle: tuple[float, float] | None = None  # when the devices were watched without the worker
        self._key, self._needs = engine_of(cell), needs_of(cell.config, base)
        self._say = say
        self._exit = contextlib.ExitStack()
        try:
            self._lock(settings, plan, cell)
            self._start(settings, plan, fleet, cell, folder, base)
        except BaseException:
            self._exit.close()
            raise

    def _lock(self, settings: Settings, plan: DevicePlan, cell: Cell) -> None:
        def wait(text: str) -> None:
            self._say(Progress(cell.id, "waiting", text))

        names = plan.lock_names()
        count = needed(cell.config, len(names)) if plan.gpus else 1
        if cell.variant is not None:  # both on the same ones, whoever else is free
            names = names[:count]
        waiting = f"for {count} of {len(names)} devices"
        held = hold(names, count, settings.lock_dir, lambda: wait(waiting))
        self._locks, self.lock_wait_s = self._exit.enter_context(held)
        self.gpus = plan.gpus_for(self._locks)
        self._found_before = check(self.gpus, settings.busy, wait)
        self._bystanders = users(self.gpus)

    def _start(
        self, settings: Settings, plan: DevicePlan, fleet: Fleet, cell: Cell, folder: RunFolder, base: Path
    ) -> None:
        exchange, samples = self._folders()
        launch = Launch(
            exchange=exchange,
            log=folder.cell(cell.id) / LOG,
            run_id=folder.run_id,
            cell_id=cell.id,
            backend=cell.config.backend,
            gpu_uuids=tuple(gpu.uuid for gpu in self.gpus),
            read_only=self._needs.read_only,
            network=self._needs.network,
            base_folder=str(base),
        )
        if not settings.skip_preflight:
            fleet.preflight(cell, launch)
        self.runner = fleet.runner(cell)
        self._recorder = self._exit.enter_context(Recorder(plan.meter_name, plan.devices_for(self._locks), samples))
        self._beside: Recorder | None = None
        if plan.beside is not None:
            with contextlib.suppress(MeterError):  # a figure beside the main one: null where it cannot be had
                self._beside = self._exit.enter_context(Recorder(*plan.beside, samples))
        if plan.gpus:
            self._recorder.pace("dense")
            start = time.monotonic()
            time.sleep(IDLE_S)
            self.idle = (start, time.monotonic())
            self._recorder.pace("slow")
        recorders = (self._recorder, self._beside) if self._beside else (self._recorder,)
        self._session = WorkerSession(self.runner, launch, Together(recorders))
        self._exit.callback(self._session.close)

    def _folders(self) -> tuple[Path, Path]:
        """For what is said between us and the worker, and for the recorder; raises RunnerError."""
        try:
            place = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
            self._exit.callback(shutil.rmtree, place, ignore_errors=True)
            exchange, samples = place / "exchange", place / "samples"  # apart: a container may write to the first
            exchange.mkdir()
            samples.mkdir()
        except OSError as error:
            raise RunnerError(
                f"no temporary folder for a worker can be made: {error}",
                hint="free some space, or set TMPDIR to a folder that can be written to",
            ) from error
        return exchange, samples

    def suits(self, cell: Cell, base: Path) -> bool:
        """Whether the worker can run this experiment, too, without loading again."""
        fits = self._key == engine_of(cell) and self._needs.covers(needs_of(cell.config, base))
        return fits and self._session.usable

    def run(
        self, cell: Cell, bracket_s: float, limits: Limits, say: Listener
    ) -> tuple[WorkerResult, Recording, Recording | None]:
        """Run one experiment; what the meter and the one beside it have recorded so far comes with its result."""
        worker = self._session.run(cell, bracket_s, limits, say)
        self.served.append(cell.id)
        beside = None
        if self._beside is not None:
            with contextlib.suppress(MeterError):
                beside = self._beside.read()
        return worker, self._recorder.read(), beside

    def findings(self) -> tuple[Finding, ...]:
        """What was wrong with the devices before, and which foreign processes came since: asked while the worker lives,
        whose own processes are known only then."""
        came: tuple[Finding, ...] = ()
        if self.gpus and self._session.pid is not None:
            with contextlib.suppress(MeterError):  # a driver that does not tell must not cost the result
                came = newcomers(self.gpus, self._bystanders, family(self._session.pid))
        return (*self._found_before, *came)

    def close(self) -> None:
        """End the worker, then the recorders; free the devices."""
        self._exit.close()


def sweep_dead_stations() -> None:
    """Remove the temporary folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}[0-9]*"):
        if left_behind(folder):
            shutil.rmtree(folder, ignore_errors=True)
