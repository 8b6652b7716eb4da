"""Study files and their cells as pytest's collectors and items."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.baselining import BaselineGate
from pytest_llem.deciding import Decider
from pytest_llem.errors import LlemError, WorkerTimeout
from pytest_llem.options import Options, options_of
from pytest_llem.reporting import LlemWarning, OverBudget, conclude, flat_figures, set_properties
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.resume import judged_again, refuse_another
from pytest_llem.results.run import stopped
from pytest_llem.results.store import RunFolder
from pytest_llem.runners.fleet import raised
from pytest_llem.runners.sharing import by_engine
from pytest_llem.session import stamp_of
from pytest_llem.study.load import load_study
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Cell, Study


def overrides_of(options: Options) -> Overrides:
    """What a run's options say in place of a study."""
    return Overrides(
        runner=options.runner,
        runner_ini=options.runner_ini,
        budgets=options.budgets,
        seed=options.seed,
        seed_ini=options.seed_ini,
        timeout_s=options.timeout_s,
        timeout_ini_s=options.timeout_ini_s,
        variants=options.variants,
        cycles=options.cycles,
    )


_TIME_IS_UP = "the time limit of the whole study is up (execution.study_timeout_s: {:g})"
_RESUME = "--llem-resume goes on with what has no result yet"


class StudyFile(pytest.File):
    """A study file. Its items are the study's cells, in the order in which they are to be run."""

    study: Study
    folder: RunFolder  # made when collection has finished
    stored: dict[str, tuple[ExperimentResult, Path]]  # what an interrupted run has already, by cell
    deadline = math.inf  # CLOCK_MONOTONIC: when the study's time is up

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stored = {}

    @cached_property
    def decider(self) -> Decider:
        """Tells which cycles are needed no longer."""
        options = options_of(self.config)
        compared = options.compare or self.study.cells[0].variant
        return Decider(self.study, self.folder, BaselineGate.load(options) if compared else None)

    def collect(self) -> Iterator[pytest.Item]:
        options = options_of(self.config)
        try:
            self.study = load_study(self.path, overrides=overrides_of(options))
            if options.resume:
                refuse_another(self.study, options.results, stamp_of(self.config))
        except LlemError as error:
            raise self.CollectError(str(error)) from None
        cells, why_raised = raised(self.study.cells)
        if options.isolation == "engine":
            cells = by_engine(cells, self.study.execution.order)
        self.config.hook.pytest_llem_modify_cells(config=self.config, study=self.study, cells=cells)
        for note in (*self.study.notices(), *([f"{self.study.name}: {why_raised}"] if why_raised else [])):
            warnings.warn_explicit(LlemWarning(note), None, str(self.path), 1)
        shared: dict[str, Any] = {}
        for cell in cells:
            name = f"{cell.study}[{cell.id}]"
            item = StudyItem.from_parent(self, name=name, callobj=run_cell, cell=cell, **shared)
            shared = {"fixtureinfo": item._fixtureinfo}  # as pytest does for the cases of a parametrised test
            yield item


class StudyItem(pytest.Function):
    """One cell. It is a test function with fixtures, whose body runs the experiment and judges the result."""

    def __init__(self, *, cell: Cell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.add_marker(pytest.mark.llem(**marker_axes(cell)))

    @property
    def id(self) -> Any:
        """pytest 9.2 compares structured ids (``--lf``): this one must equal what its own text is read back as."""
        structured = super().id  # an older pytest has none, and asks for none
        return type(structured).parse(self.nodeid)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, max(0, self.cell.line - 1), self.name  # pytest counts from 0

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own errors are made for reading; nobody needs the way they came."""
        if isinstance(excinfo.value, LlemError | OverBudget):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def marker_axes(cell: Cell) -> dict[str, Any]:
    """What ``-m "llem(batch_size=4)"`` selects by: the backend and the swept values by the last part of their path."""
    axes: dict[str, Any] = {"backend": cell.config.backend, "cycle": cell.cycle}
    if cell.variant is not None:
        axes["variant"] = cell.variant.name
    for path, value in cell.swept.items():
        axes[path.rpartition(".")[2]] = value
    return axes


def run_cell(request: pytest.FixtureRequest, llem_bench: Any) -> None:
    """The body of every study item."""
    item: StudyItem = request.node
    file = item.getparent(StudyFile)
    assert file is not None
    config: pytest.Config = request.config
    if (found := file.stored.pop(item.cell.id, None)) is not None:
        again, path = judged_again(*found, item.cell, file.folder)
        set_properties(item, flat_figures(again, path))
        conclude(item, again)
        return
    if (reason := stopped(file.folder)) is not None:
        pytest.skip(reason)
    if (reason := file.decider.settled(item.cell)) is not None:
        pytest.skip(reason)
    cell = within(item.cell, file)
    config.hook.pytest_llem_experiment_start(config=config, cell=cell)
    try:
        result, path = llem_bench.run(cell, file.folder, file.path.parent, file.study.execution.retries)
    except LlemError as error:
        set_properties(item, {"error_type": error.kind})
        if isinstance(error, WorkerTimeout) and time.monotonic() >= file.deadline:
            raise WorkerTimeout(_TIME_IS_UP.format(file.study.execution.study_timeout_s), hint=_RESUME) from None
        raise
    set_properties(item, flat_figures(result, path))
    config.hook.pytest_llem_experiment_result(config=config, cell=cell, result=result)
    conclude(item, result)


def within(cell: Cell, file: StudyFile) -> Cell:
    """The cell, which is to end when the study's time is up; skips where it is."""
    if time.monotonic() >= file.deadline:
        pytest.skip(_TIME_IS_UP.format(file.study.execution.study_timeout_s))
    return replace(cell, end_by=file.deadline)
