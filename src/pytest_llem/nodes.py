"""Study files and their cells as pytest's collectors and items."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import LlemError, StudyError
from pytest_llem.options import options_of
from pytest_llem.reporting import LlemWarning, OverBudget, conclude, flat_figures, set_properties
from pytest_llem.results.store import RunFolder
from pytest_llem.study import Cell, Overrides, Study, load_study


class StudyFile(pytest.File):
    """A study file. Its items are the study's cells, in the order in which they are to be run."""

    study: Study
    folder: RunFolder  # made when collection has finished

    def collect(self) -> Iterator[pytest.Item]:
        options = options_of(self.config)
        overrides = Overrides(
            runner=options.runner,
            runner_ini=options.runner_ini,
            budgets=options.budgets,
            seed=options.seed,
            seed_ini=options.seed_ini,
            timeout_s=options.timeout_s,
            timeout_ini_s=options.timeout_ini_s,
        )
        try:
            self.study = load_study(self.path, overrides=overrides)
        except StudyError as error:
            raise self.CollectError(str(error)) from None
        cells = list(self.study.cells)
        self.config.hook.pytest_llem_modify_cells(config=self.config, study=self.study, cells=cells)
        for note in self.study.notices():
            warnings.warn_explicit(LlemWarning(note), None, str(self.path), 1)
        for cell in cells:
            yield StudyItem.from_parent(self, name=f"{cell.study}[{cell.id}]", callobj=run_cell, cell=cell)


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
        return self.path, self.cell.line, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own errors are made for reading; nobody needs the way they came."""
        if isinstance(excinfo.value, LlemError | OverBudget):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def marker_axes(cell: Cell) -> dict[str, Any]:
    """What ``-m "llem(batch_size=4)"`` selects by: the backend and the swept values by the last part of their path."""
    axes: dict[str, Any] = {"backend": cell.config.backend, "cycle": cell.cycle}
    for path, value in cell.swept.items():
        axes[path.rpartition(".")[2]] = value
    return axes


def run_cell(request: pytest.FixtureRequest, llem_bench: Any) -> None:
    """The body of every study item."""
    item = request.node
    config: pytest.Config = request.config
    cell: Cell = item.cell
    config.hook.pytest_llem_experiment_start(config=config, cell=cell)
    try:
        result, path = llem_bench.run(cell, item.parent.folder, item.path.parent)
    except LlemError as error:
        set_properties(item, {"error_type": type(error).__name__})
        raise
    set_properties(item, flat_figures(result, path))
    config.hook.pytest_llem_experiment_result(config=config, cell=cell, result=result)
    conclude(item, result)
