"""Hooks that pytest-llem calls, for conftest files and other plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llem.results.model import ExperimentResult
    from pytest_llem.study.study import Cell, Study


@pytest.hookspec
def pytest_llem_modify_cells(config: pytest.Config, study: Study, cells: list[Cell]) -> None:
    """Change the list of a study's cells in place before they become items: reorder, remove, add.

    Under xdist every worker calls it and all must come to the same list."""


@pytest.hookspec
def pytest_llem_experiment_start(config: pytest.Config, cell: Cell) -> None:
    """An experiment is about to be run, in this process."""


@pytest.hookspec
def pytest_llem_experiment_result(config: pytest.Config, cell: Cell, result: ExperimentResult) -> None:
    """An experiment has a result, which is on disk already; budgets are not yet enforced."""


@pytest.hookspec
def pytest_llem_environment(config: pytest.Config, environment: dict[str, str]) -> None:
    """Add to the environment snapshot of a run in place: keys that matter to you, such as a rack or a power cap."""


@pytest.hookspec
def pytest_llem_study_finished(config: pytest.Config, study: str, folder: str) -> None:
    """All of a study's items are through, on the controller; ``folder`` is the run's folder."""
