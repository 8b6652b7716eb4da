"""The runners of a bench, one for each way to start workers, checked together before the first container."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from pytest_llem.errors import PreflightError
from pytest_llem.runners.base import Launch, Runner
from pytest_llem.runners.local import LocalRunner
from pytest_llem.runners.trees import variant_runner
from pytest_llem.study.runner import RunnerChoice
from pytest_llem.study.study import Cell


class Fleet:
    """Makes each runner once. ``planned``: the cells that are to come, as far as they are known."""

    def __init__(self, images: Mapping[str, str], planned: Sequence[Cell], notify: Callable[[str], None]) -> None:
        self._images = images
        self._planned = planned
        self._notify = notify
        self._runners: dict[tuple[str | None, ...], Runner] = {}
        self._exit = ExitStack()
        self._all_checked = False

    def runner(self, cell: Cell) -> Runner:
        """What starts the cell's worker."""
        key = _key(cell)
        if key not in self._runners:
            if cell.variant is not None and cell.runner.kind == "local":
                self._runners[key] = self._exit.enter_context(variant_runner(cell.variant))
            else:
                self._runners[key] = make_runner(cell.runner, cell.config.backend, self._images, self._notify)
        return self._runners[key]

    def preflight(self, cell: Cell, launch: Launch) -> None:
        """Raise PreflightError with all that stands against a container for this cell, or for one that is to come: a
        night's study must not learn at dawn that its last image is missing."""
        if cell.runner.kind != "docker" or cell.skip_preflight:
            return
        others = () if self._all_checked else self._planned
        cells = {_key(one): one for one in (cell, *others) if one.runner.kind == "docker" and not one.skip_preflight}
        problems: dict[tuple[str, str], None] = {}
        for one in cells.values():
            try:
                self.runner(one).preflight(replace(launch, backend=one.config.backend))
            except PreflightError as error:
                problems.update(dict.fromkeys(error.problems))
        if problems:
            raise PreflightError(list(problems))
        self._all_checked = True

    def close(self) -> None:
        """Remove the trees that variants were run from."""
        self._exit.close()


def _key(cell: Cell) -> tuple[str | None, ...]:
    return cell.runner.kind, cell.runner.image, cell.config.backend, cell.variant_name


def make_runner(choice: RunnerChoice, backend: str, images: Mapping[str, str], notify: Callable[[str], None]) -> Runner:
    """The runner of a kind; Docker's SDK is imported only where it is asked for."""
    if choice.kind == "local":
        return LocalRunner()
    from pytest_llem.runners.docker.runner import DockerRunner
    from pytest_llem.runners.docker.settings import settings_from

    return DockerRunner(settings_from({**images, **({backend: choice.image} if choice.image else {})}), notify=notify)
