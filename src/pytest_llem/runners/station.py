"""A place to measure: a recorder on locked devices and a worker, for as long as experiments use them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pytest_llem.energy.meter import Device
from pytest_llem.energy.recorder import Recorder
from pytest_llem.energy.recording import Recording
from pytest_llem.errors import MeterError
from pytest_llem.runners.base import Launch, Runner
from pytest_llem.runners.conductor import Limits, WorkerSession
from pytest_llem.runners.devices import DevicePlan
from pytest_llem.runners.progress import Listener
from pytest_llem.runners.worker_result import WorkerResult
from pytest_llem.study.study import Cell

IDLE_S = 0.7  # how long the devices are watched without a worker: seven steps of an H200's counter
_FOLDER = "llem-"


class Station:
    """Recorders and a worker on devices that the caller has locked. Ends with :meth:`close`, whatever happened."""

    def __init__(self, plan: DevicePlan, devices: tuple[Device, ...], runner: Runner, launch: Launch) -> None:
        self.runner = runner
        self.idle: tuple[float, float] | None = None  # when the devices were watched without a worker
        self._session: WorkerSession | None = None
        self._exit = contextlib.ExitStack()
        # With our pid, so that a later run can sweep it.
        folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
        self._exit.callback(shutil.rmtree, folder, ignore_errors=True)
        exchange, samples = folder / "exchange", folder / "samples"  # apart: a container may write to the first
        exchange.mkdir()
        samples.mkdir()
        self._launch = replace(launch, exchange=exchange)
        self._beside: Recorder | None = None
        try:
            self._recorder = self._exit.enter_context(Recorder(plan.meter_name, devices, samples))
            if plan.beside is not None:
                with contextlib.suppress(MeterError):  # a figure beside the main one: null where it cannot be had
                    self._beside = self._exit.enter_context(Recorder(*plan.beside, samples))
            if plan.gpus:
                self._watch_idle()
        except BaseException:
            self._exit.close()
            raise

    def _watch_idle(self) -> None:
        """Record the devices without a worker, for their idle power."""
        self._recorder.pace("dense")
        start = time.monotonic()
        time.sleep(IDLE_S)
        self.idle = (start, time.monotonic())
        self._recorder.pace("slow")

    def run(self, cell: Cell, bracket_s: float, limits: Limits, say: Listener) -> WorkerResult:
        """Run one experiment in this station's worker, which is started by the first."""
        if self._session is None:
            self._session = WorkerSession(self.runner, self._launch, self._recorder, bracket_s)
        return self._session.run(cell, limits, say)

    def recordings(self) -> tuple[Recording, Recording | None]:
        """What the meter and the one beside it have recorded so far."""
        beside = None
        if self._beside is not None:
            with contextlib.suppress(MeterError):
                beside = self._beside.read()
        return self._recorder.read(), beside

    @property
    def pid(self) -> int | None:
        """Root of the worker's process tree."""
        return None if self._session is None else self._session.pid

    @property
    def usable(self) -> bool:
        """Whether another experiment may use it."""
        return self._session is None or self._session.usable

    def close(self) -> None:
        """End the worker, then the recorders."""
        try:
            if self._session is not None:
                self._session.close()
        finally:
            self._exit.close()


def sweep_dead_stations() -> None:
    """Remove the temporary folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}[0-9]*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
