"""Experiments and studies from Python, without pytest: the same engine, the same folders, the same results.

Everything here blocks until it is done. ``progress`` is called with each step, in the caller's thread; ``cancel`` may
be set from another thread, and then the worker is stopped within a second or two.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from pytest_llem.deciding import Decider
from pytest_llem.errors import Cancelled, LlemError
from pytest_llem.results.clock import new_stamp
from pytest_llem.results.manifest import Status
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.resume import find_stamp, folder_of, judged_again, refuse_another, stored
from pytest_llem.results.run import Run, begin
from pytest_llem.results.store import RunFolder
from pytest_llem.results.study_result import StudyResult, collect
from pytest_llem.runners.base import Busy, Isolation
from pytest_llem.runners.bench import Bench
from pytest_llem.runners.fleet import raised
from pytest_llem.runners.locks import default_lock_dir
from pytest_llem.runners.progress import Progress, ignore
from pytest_llem.runners.sharing import by_engine
from pytest_llem.runners.station import Settings
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.load import load_study, study_from_mapping
from pytest_llem.study.study import Cell, Study
from pytest_llem.version import __version__

__all__ = ["Progress", "RunSettings", "StudyResult", "run_experiment", "run_study"]


@dataclass(frozen=True)
class RunSettings:
    """How and where to run, as pytest's options of the same names say it."""

    results: str | Path = "llem-results"
    meter: str = "auto"
    gpus: str | None = None
    busy: Busy = "warn"
    isolation: Isolation = "experiment"
    images: Mapping[str, str] = field(default_factory=dict)
    lock_dir: str | Path | None = None
    skip_preflight: bool = False
    accept_changes: bool = False

    def __post_init__(self) -> None:
        """Raises LlemError for a word that is none of those possible."""
        for name, allowed in (("busy", get_args(Busy)), ("isolation", get_args(Isolation))):
            if (word := getattr(self, name)) not in allowed:
                hint = f"write {' or '.join(allowed)}"
                raise LlemError(f"RunSettings: {name}={word!r} is not possible", hint=hint)

    def bench(self, cancel: threading.Event, planned: Sequence[Cell]) -> Bench:
        """What runs experiments so."""
        settings = Settings(
            meter=self.meter,
            gpus=self.gpus,
            busy=self.busy,
            share_engine=self.isolation == "engine",
            images=self.images,
            lock_dir=default_lock_dir() if self.lock_dir is None else Path(self.lock_dir),
            skip_preflight=self.skip_preflight,
            accept_changes=self.accept_changes,
        )
        return Bench(
            settings,
            warn=lambda text: warnings.warn(text, stacklevel=2),
            cancelled=cancel.is_set,
            planned=planned,
        )


def run_experiment(
    config: ExperimentConfig | Mapping[str, Any],
    *,
    name: str = "experiment",
    settings: RunSettings | None = None,
    progress: Callable[[Progress], None] = ignore,
    cancel: threading.Event | None = None,
) -> ExperimentResult:
    """Run one experiment: an ExperimentConfig, or a mapping with the keys of a study file that describes just one.

    Its files lie in a run's folder called after ``name``. Raises StudyError for a mapping that is wrong, Cancelled, and
    else what went wrong as the LlemError it was. A broken budget raises nothing: it stands in ``result.verdicts``."""
    study = study_from_mapping({"llem": 1, **_keys(config)}, name=name)
    if len(study.cells) != 1:
        raise LlemError(f"{len(study.cells)} experiments are described, not one", hint="run_study runs several")
    sitting = _Sitting(study, settings or RunSettings(), None, progress, cancel or threading.Event())
    with sitting:
        return sitting.measure(study.cells[0])


def run_study(
    study: Study | str | Path,
    *,
    settings: RunSettings | None = None,
    resume: str | Path | None = None,
    progress: Callable[[Progress], None] = ignore,
    cancel: threading.Event | None = None,
) -> StudyResult:
    """Run a study, or the file that describes it, and return all that was found.

    ``resume``: the folder of a run of this study that did not come to its end; what has a result there is only judged
    again. Experiments that fail are told in the result's ``manifest`` and stop nothing but themselves. When ``cancel``
    is set or Ctrl-C is pressed, the manifest says so and can be resumed; Cancelled or KeyboardInterrupt is raised."""
    found = study if isinstance(study, Study) else load_study(Path(study).resolve())
    raised_cells, why_raised = raised(found.cells)
    if why_raised:
        warnings.warn(f"{found.name}: {why_raised}", stacklevel=2)
        found = replace(found, cells=tuple(raised_cells))
    sitting = _Sitting(found, settings or RunSettings(), resume, progress, cancel or threading.Event())
    with sitting:
        cells = list(found.cells)
        if sitting.settings.isolation == "engine":
            cells = by_engine(cells, found.execution.order)
        for cell in cells:
            sitting.attempt(cell)
    return collect(sitting.run.folder.path)


def _keys(config: ExperimentConfig | Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of a study file: a third party's options stand below its backend's name."""
    if not isinstance(config, ExperimentConfig):
        return dict(config)
    keys = config.model_dump(mode="json", exclude_unset=True)
    options = keys.pop("options", {})
    return {**keys, config.backend: options} if options else keys


class _Sitting:
    """One run of one study, from its folder to its end."""

    def __init__(
        self,
        study: Study,
        settings: RunSettings,
        resume: str | Path | None,
        progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> None:
        self._study = study
        self.settings = settings
        self._progress = progress
        self._cancel = cancel
        self._base = Path.cwd() if study.path is None else study.path.parent
        self._resumed = resume is not None
        folder = self._folder(resume)
        begin(folder, study, {_name(cell): cell for cell in study.cells}, __version__)
        self.run = Run.open(folder.path)
        self._deadline = time.monotonic() + (study.execution.study_timeout_s or math.inf)

    def _folder(self, resume: str | Path | None) -> RunFolder:
        results = Path(self.settings.results).resolve()
        if resume is None:
            return RunFolder.create(results, self._study.name, new_stamp())
        stamp = find_stamp(results, str(resume), [self._base])
        refuse_another(self._study, results, stamp)
        return folder_of(results, stamp, self._study) or RunFolder.create(results, self._study.name, stamp)

    def __enter__(self) -> None:
        self._bench = self.settings.bench(self._cancel, self._study.cells)
        self.run.hold()
        self.run.resume()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        told = isinstance(error, LlemError) and not isinstance(error, Cancelled)
        try:
            self._bench.close()
        finally:
            try:
                self.run.finished(interrupted=error is not None and not told)
            finally:
                self.run.let_go()

    def attempt(self, cell: Cell) -> None:
        """Run a cell unless it has a result, is decided, or the run was stopped; only Cancelled gets out."""
        before = stored(self.run.folder, cell) if self._resumed else None
        if before is not None:
            self._ended(cell, *judged_again(*before, cell, self.run.folder))
        elif (
            self.run.manifest.status == "stopped"
            or time.monotonic() >= self._deadline
            or Decider(self._study, self.run.folder, None).settled(cell) is not None
        ):
            self.run.ended(_name(cell), "skipped")
        else:
            try:
                self.measure(cell)
            except Cancelled:
                raise
            except LlemError:
                return  # it is in the manifest

    def measure(self, cell: Cell) -> ExperimentResult:
        """Run a cell; raises what went wrong."""
        name = _name(cell)
        self.run.started(name)
        limited = replace(cell, end_by=self._deadline)
        retries = self._study.execution.retries
        try:
            result, path = self._bench.run(limited, self.run.folder, self._base, self._say, retries)
        except Cancelled:
            raise
        except LlemError as error:
            self.run.ended(name, "failed", error_type=error.kind, error_message=str(error))
            if (reason := self.run.count("failed", measured=False, error_type=error.kind)) is not None:
                self.run.stop(reason)
            raise
        self._ended(cell, result, path)
        return result

    def _ended(self, cell: Cell, result: ExperimentResult, path: Path) -> None:
        broken = any(verdict.outcome == "fail" for verdict in result.verdicts)
        status: Status = "over_budget" if broken else "passed"
        self.run.ended(_name(cell), status, result=str(path.relative_to(self.run.folder.path)))
        self.run.count(status, measured=True)

    def _say(self, progress: Progress) -> None:
        if self._cancel.is_set():
            raise Cancelled("the run was cancelled")
        self._progress(progress)


def _name(cell: Cell) -> str:
    return f"{cell.study}[{cell.id}]"
