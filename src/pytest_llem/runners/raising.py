"""Several backends that cannot live in one Python environment go into containers, where no runner was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec

from pytest_llem.study.runner import RunnerChoice
from pytest_llem.study.study import Cell

LIBRARIES = {"pytorch": ("torch", "transformers"), "vllm": ("vllm",)}  # of the backends that there are images for
_EXTRAS = {"pytorch": "transformers", "vllm": "vllm"}


def raised(
    cells: Sequence[Cell], installed: Callable[[str], bool] = lambda library: find_spec(library) is not None
) -> tuple[list[Cell], str | None]:
    """``cells``, with Docker as the runner of those that had none chosen if the study needs it, and then why.

    All of them are raised, not only those of the missing library: what is compared should run alike."""
    backends = {cell.config.backend for cell in cells}
    open_to_choice = {cell.config.backend for cell in cells if _may_be_raised(cell)}
    missing = sorted(
        backend for backend in open_to_choice if not all(installed(library) for library in LIBRARIES[backend])
    )
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
