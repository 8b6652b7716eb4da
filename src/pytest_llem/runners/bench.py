"""Runs experiments one after another: picks the meter, locks and checks devices, starts workers, writes results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.energy.gpus import Gpu
from pytest_llem.energy.idle import Finding
from pytest_llem.energy.trace import dump_traces
from pytest_llem.errors import GpuBusyError, MeterError, PreflightError, RunnerError
from pytest_llem.processes import family
from pytest_llem.results.clock import now
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import LOG, TRACE, RunFolder, write_atomic
from pytest_llem.runners.base import Launch
from pytest_llem.runners.conductor import Limits
from pytest_llem.runners.devices import DevicePlan, check, needed, newcomers, plan_devices, settle, users
from pytest_llem.runners.fleet import Fleet
from pytest_llem.runners.locks import default_lock_dir, hold
from pytest_llem.runners.needs import Needs, needs_of
from pytest_llem.runners.outcome import Circumstances, build
from pytest_llem.runners.progress import Listener, Progress, ignore
from pytest_llem.runners.sharing import engine_of
from pytest_llem.runners.station import Station, sweep_dead_stations
from pytest_llem.runners.surroundings import Surroundings
from pytest_llem.study.study import Cell
from pytest_llem.version import __version__


@dataclass(frozen=True)
class Settings:
    """What holds for all experiments of a bench."""

    meter: str = "auto"
    gpus: str | None = None  # indices within CUDA_VISIBLE_DEVICES
    busy: str = "warn"  # warn | fail | wait
    share_engine: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    lock_dir: Path = field(default_factory=default_lock_dir)
    skip_preflight: bool = False
    accept_changes: bool = False  # of machine, libraries and image since a run's earlier results


@dataclass(frozen=True)
class _Held:
    """A station with the locks on its devices, and what an experiment must agree with to use it again."""

    station: Station
    key: str
    needs: Needs
    findings: tuple[Finding, ...]
    lock_wait_s: float
    stack: ExitStack
    gpus: tuple[Gpu, ...]
    bystanders: frozenset[int]  # on the GPUs before the worker came
    served: list[str] = field(default_factory=list)  # cells, in order

    def newcomers(self) -> tuple[Finding, ...]:
        """Foreign processes that came to the GPUs during the experiment; to be asked while the worker lives."""
        if not self.gpus or self.station.pid is None:
            return ()
        with suppress(MeterError):  # a driver that does not tell must not cost the result
            return newcomers(self.gpus, self.bystanders, family(self.station.pid))
        return ()


class Bench:
    """One experiment at a time; another bench, in another process, may run beside it on other devices."""

    def __init__(
        self,
        settings: Settings,
        amend: Callable[[dict[str, str]], None] = lambda found: None,
        warn: Callable[[str], None] = lambda text: None,
        cancelled: Callable[[], bool] = lambda: False,
        planned: Sequence[Cell] = (),
    ) -> None:
        self._settings = settings
        self._plan: DevicePlan | None = None
        self._held: _Held | None = None
        self._tell: Callable[[str], None] = lambda text: None  # what a runner has to say beside the conversation
        self._fleet = Fleet(settings.images, planned, lambda text: self._tell(text))
        self._surroundings = Surroundings(amend, warn, accept_changes=settings.accept_changes)
        self._cancelled = cancelled
        self._busy_before = False
        sweep_dead_stations()

    @property
    def plan(self) -> DevicePlan:
        """Meter and devices, chosen on first use and the same from then on."""
        if self._plan is None:
            self._plan = plan_devices(self._settings.meter, self._settings.gpus)
        return self._plan

    def run(
        self, cell: Cell, folder: RunFolder, base: Path, say: Listener = ignore, retries: int = 0
    ) -> tuple[ExperimentResult, Path]:
        """Run one experiment and write all its files; relative paths in it start at ``base``.

        Waits for the cell's gap before, unless it is the first. What goes wrong with worker or meter is tried again up
        to ``retries`` times. Returns the result and the path of its ``result.json``. Raises RunnerError, MeterError,
        GpuBusyError, BackendError or RunChanged; then nothing of the experiment is left but its log."""
        self._pause(cell, say)
        failures: list[str] = []
        while True:
            try:
                return self._run(cell, folder, base, say, failures)
            except PreflightError:
                raise
            except (RunnerError, MeterError, GpuBusyError) as error:
                if len(failures) == retries:
                    raise
                failures.append(error.message.partition("\n")[0])
                say(Progress(cell.id, "again", failures[-1], len(failures), retries))

    def _pause(self, cell: Cell, say: Listener) -> None:
        """The gap that the study asks for, in steps that say how long still."""
        end = time.monotonic() + (cell.gap_before_s if self._busy_before else 0.0)
        self._busy_before = True
        while (left_s := end - time.monotonic()) > 0:
            say(Progress(cell.id, "gap", f"{left_s:.0f} s"))
            time.sleep(min(1.0, left_s))

    def _run(
        self, cell: Cell, folder: RunFolder, base: Path, say: Listener, failures: Sequence[str]
    ) -> tuple[ExperimentResult, Path]:
        started = now()
        self._tell = lambda text: say(Progress(cell.id, "starting", text))
        held = self._hold(cell, folder, base, say)
        limits = Limits(cell.timeout_s, cell.silence_timeout_s, self._cancelled)
        limit_s = cell.config.measure.thermal_wait_s
        try:
            self._surroundings.check(folder, base, cell, held.station.runner)
            unsettled = settle(held.gpus, limit_s, lambda text: say(Progress(cell.id, "waiting", text)))
            worker = held.station.run(cell, self._bracket_s(cell), limits, say)
            recording, beside = held.station.recordings()
        except BaseException:
            self.release()
            raise
        notes = [*(f"tried again after: {failure}" for failure in failures), *unsettled]
        if held.served:
            notes.append(f"ran in the worker of {held.served[0]}, whose loaded engine it shares")
        held.served.append(cell.id)
        around = Circumstances(
            tool_version=__version__,
            run_id=folder.run_id,
            environment_hash=self._surroundings.of(folder, base, dict(worker.versions), cell.variant_name),
            started_at=started,
            finished_at=now(),
            runner={**held.station.runner.describe(), "decided_by": cell.runner.decided_by},
            lock_wait_s=held.lock_wait_s,
            margin_s=self._bracket_s(cell),
            idle=held.station.idle,
            findings=(*held.findings, *held.newcomers()),
            notes=tuple(notes),
        )
        result, traces = build(cell, worker, recording, beside, around, folder.cell(cell.id))
        write_atomic(folder.cell(cell.id) / TRACE, dump_traces(traces))
        path = folder.write_result(result)
        if not (self._settings.share_engine and held.station.usable):
            self.release()
        return result, path

    def _bracket_s(self, cell: Cell) -> float:
        return cell.config.measure.bracket_s or self.plan.meter.bracket_s

    def _hold(self, cell: Cell, folder: RunFolder, base: Path, say: Listener) -> _Held:
        """The station of the experiment before if this one can share its engine, else a new one."""
        key = engine_of(cell)
        needs = needs_of(cell.config, base)
        if (held := self._held) is not None and held.key == key and held.station.usable and held.needs.covers(needs):
            return held
        self.release()
        stack = ExitStack()
        try:
            locks, waited = stack.enter_context(self._lock(cell, say))
            gpus = self.plan.gpus_for(locks)
            found = check(gpus, self._settings.busy, lambda text: say(Progress(cell.id, "waiting", text)))
            bystanders = users(gpus)
            launch = Launch(
                exchange=Path(),  # the station's own
                log=folder.cell(cell.id) / LOG,
                run_id=folder.run_id,
                cell_id=cell.id,
                backend=cell.config.backend,
                gpu_uuids=tuple(gpu.uuid for gpu in gpus),
                base_folder=str(base),
                read_only=needs.read_only,
                network=needs.network,
            )
            if not self._settings.skip_preflight:
                self._fleet.preflight(cell, launch)
            station = Station(self.plan, self.plan.devices_for(locks), self._fleet.runner(cell), launch)
            stack.callback(station.close)
        except BaseException:
            stack.close()
            raise
        self._held = _Held(station, key, needs, found, waited, stack, gpus, bystanders)
        return self._held

    def _lock(self, cell: Cell, say: Listener) -> AbstractContextManager[tuple[tuple[str, ...], float]]:
        names = self.plan.lock_names()
        count = needed(cell.config, len(names)) if self.plan.gpus else 1
        if cell.variant is not None:  # both on the same ones, whoever else is free
            names = names[:count]
        waiting = f"for {count} of {len(names)} devices"
        return hold(names, count, self._settings.lock_dir, lambda _: say(Progress(cell.id, "waiting", waiting)))

    def release(self) -> None:
        """End what is held: the worker, the recorders, the locks."""
        held, self._held = self._held, None
        if held is not None:
            held.stack.close()

    def close(self) -> None:
        """End everything."""
        try:
            self.release()
        finally:
            self._fleet.close()
