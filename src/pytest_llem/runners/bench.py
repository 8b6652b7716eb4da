"""Runs experiments one after another: pauses, tries again, shares stations, writes results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_llem.energy.trace import dump_traces
from pytest_llem.errors import GpuBusyError, LlemError, MeterError, PreflightError, RunnerError, WorkerTimeout
from pytest_llem.results.clock import now
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import TRACE, RunFolder, write_atomic
from pytest_llem.runners.assemble import Observed
from pytest_llem.runners.conductor import Limits
from pytest_llem.runners.devices import DevicePlan, plan_devices, settle
from pytest_llem.runners.fleet import Fleet
from pytest_llem.runners.outcome import build
from pytest_llem.runners.progress import Listener, Progress, ignore
from pytest_llem.runners.station import Settings, Station, sweep_dead_stations
from pytest_llem.runners.surroundings import Surroundings
from pytest_llem.study.study import Cell


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
        self._station: Station | None = None
        self._tell: Callable[[str], None] = lambda text: None  # what a runner has to say beside the conversation
        self._fleet = Fleet(settings.images, planned, lambda text: self._tell(text))
        self._warn = warn
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
        to ``retries`` times, as long as the study's time is not up. Returns the result and the path of its
        ``result.json``. Raises RunnerError, MeterError, GpuBusyError, BackendError, ResultError or RunChanged; then
        nothing of the experiment runs any longer, and its log is left."""
        say = self._in_time(cell, say)
        self._pause(cell, say)
        failures: list[str] = []
        while True:
            try:
                return self._run(cell, folder, base, say, failures)
            except PreflightError:
                raise
            except (RunnerError, MeterError, GpuBusyError) as error:
                if isinstance(error, WorkerTimeout) and time.monotonic() >= cell.end_by:
                    raise _study_over() from None
                if len(failures) == retries or time.monotonic() >= cell.end_by:
                    raise
                failures.append(error.message.partition("\n")[0])
                say(Progress(cell.id, "again", failures[-1], len(failures), retries))

    def _in_time(self, cell: Cell, say: Listener) -> Listener:
        """``say`` as long as the study's time is not up; waiting for a lock, a busy GPU or the gap then ends."""

        def listen(progress: Progress) -> None:
            if progress.phase in ("waiting", "gap") and time.monotonic() >= cell.end_by:
                raise _study_over()
            say(progress)

        return listen

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
        started_at = now()
        self._tell = lambda text: say(Progress(cell.id, "starting", text))
        notes = [f"tried again after: {failure}" for failure in failures]
        measure = cell.config.measure
        bracket_s = measure.bracket_s or self.plan.meter.bracket_s
        station = self._station_for(cell, folder, base, say)
        try:
            if station.served:
                notes.append(f"ran in the worker of {station.served[0]}, whose loaded engine it shares")
            self._surroundings.check(folder, base, cell, station.runner)
            wait = measure.thermal_wait_s
            notes += settle(station.gpus, wait, lambda text: say(Progress(cell.id, "waiting", text)))
            observed = station.run(cell, bracket_s, self._limits(cell), say)
            seen = Observed(*observed, bracket_s, station.idle, station.findings())
            result, traces = build(
                cell,
                seen,
                folder.cell(cell.id),
                notes=notes,
                run_id=folder.run_id,
                environment_hash=self._surroundings.of(folder, base, dict(seen.worker.versions), cell.variant_name),
                started_at=started_at,
                finished_at=now(),
                runner={**station.runner.describe(), "decided_by": cell.runner.decided_by},
                lock_wait_s=station.lock_wait_s,
            )
            self._surroundings.check_prompts(folder, cell, result.prompt_hash)
            write_atomic(folder.cell(cell.id) / TRACE, dump_traces(traces))
            path = folder.write_result(result)
        except BaseException:
            with suppress(Warning):  # raised where warnings are errors: it must not replace what went wrong
                self.release()
            raise
        if not self._settings.share_engine:
            self.release()
        return result, path

    def _limits(self, cell: Cell) -> Limits:
        """Those of a try that begins now; raises WorkerTimeout where nothing is left of the study's time."""
        left_s = cell.end_by - time.monotonic()
        if left_s <= 0:
            raise _study_over()
        return Limits(min(cell.timeout_s, left_s), cell.silence_timeout_s, self._cancelled)

    def _station_for(self, cell: Cell, folder: RunFolder, base: Path, say: Listener) -> Station:
        """That of the experiment before if this one can share its engine, else a new one."""
        shared = self._settings.share_engine and self._station is not None and self._station.suits(cell, base)
        if self._station is None or not shared:
            self.release()
            self._station = Station(self._settings, self.plan, self._fleet, cell, folder, base, say)
        return self._station

    def release(self) -> None:
        """End what is held: the worker, the recorders, the locks.

        What goes wrong with it is only warned of: it says nothing of an experiment, whose result may be stored."""
        station, self._station = self._station, None
        if station is None:
            return
        try:
            station.close()
        except (LlemError, OSError) as error:
            self._warn(f"a worker was not ended as it should be: {error}")

    def close(self) -> None:
        """End everything."""
        try:
            self.release()
        finally:
            self._fleet.close()


def _study_over() -> WorkerTimeout:
    return WorkerTimeout(
        "the time limit of the whole study is up",
        hint="raise execution.study_timeout_s, or resume the run, which goes on where it stopped",
    )
