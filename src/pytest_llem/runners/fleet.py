"""How each cell's worker is started: the choice where none was made, the runners, and one check of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec

from pytest_llem.errors import PreflightError
from pytest_llem.runners.base import Launch, Runner
from pytest_llem.runners.local import LocalRunner
from pytest_llem.runners.trees import variant_runner
from pytest_llem.study.runner import RunnerChoice
from pytest_llem.study.study import Cell

LIBRARIES = {"pytorch": ("torch", "transformers"), "vllm": ("vllm",)}  # of the backends that there are images for
_EXTRAS = {"pytorch": "transformers", "vllm": "vllm"}


def raised(
    cells: Sequence[Cell], installed: Callable[[str], bool] = lambda library: find_spec(library) is not None
) -> tuple[list[Cell], str | None]:
    """``cells``, with Docker as the runner of those that had none chosen if the study has several backends that cannot
    live in one Python environment, and then why.

    All of them are raised, not only those of the missing library: what is compared should run alike."""
    backends = {cell.config.backend for cell in cells}
    open_to_choice = {cell.config.backend for cell in cells if _may_be_raised(cell)}
    missing = sorted(name for name in open_to_choice if not all(map(installed, LIBRARIES[name])))
    if len(backends) < 2 or not missing:
        return list(cells), None
    extras = ",".join(_EXTRAS[backend] for backend in missing)
    reason = (
        f"{' and '.join(missing)} cannot be run in this Python environment, so {', '.join(sorted(open_to_choice))} run "
        f"in containers; to decide otherwise: --llem-runner=local, `runners:` in the study, or "
        f"pip install 'pytest-llem[{extras}]'"
    )
    choice = RunnerChoice("docker", decided_by="several backends")
    return [replace(cell, runner=choice) if _may_be_raised(cell) else cell for cell in cells], reason


def _may_be_raised(cell: Cell) -> bool:
    return cell.runner.decided_by == "default" and cell.config.backend in LIBRARIES


class Fleet:
    """Makes each runner once. ``planned``: the cells that are to come, as far as they are known."""

    def __init__(self, images: Mapping[str, str], planned: Sequence[Cell], notify: Callable[[str], None]) -> None:
        self._images = images
        self._planned = planned
        self._notify = notify
        self._runners: dict[tuple[str | None, ...], Runner] = {}
        self._exit = ExitStack()

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
        if not _is_checked(cell):
            return
        cells = {_key(one): one for one in (cell, *self._planned) if _is_checked(one)}
        problems: dict[tuple[str, str], None] = {}
        for one in cells.values():
            try:
                self.runner(one).preflight(replace(launch, backend=one.config.backend))
            except PreflightError as error:
                problems.update(dict.fromkeys(error.problems))
        if problems:
            raise PreflightError(list(problems))
        self._planned = ()

    def close(self) -> None:
        """Remove the trees that variants were run from."""
        self._exit.close()


def _key(cell: Cell) -> tuple[str | None, ...]:
    return cell.runner.kind, cell.runner.image, cell.config.backend, cell.variant_name


def _is_checked(cell: Cell) -> bool:
    return cell.runner.kind == "docker" and not cell.skip_preflight


def make_runner(choice: RunnerChoice, backend: str, images: Mapping[str, str], notify: Callable[[str], None]) -> Runner:
    """The runner of a kind; Docker's SDK is imported only where it is asked for."""
    if choice.kind == "local":
        return LocalRunner()
    from pytest_llem.runners.docker.runner import DockerRunner
    from pytest_llem.runners.docker.settings import settings_from

    return DockerRunner(settings_from({**images, **({backend: choice.image} if choice.image else {})}), notify=notify)
