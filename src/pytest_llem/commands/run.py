"""``llem run``: pytest on study files, with exit codes that a script can tell apart."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.study.identity import is_folder

INTERRUPTED = 130  # what a shell gives for SIGINT; pytest gives 2, as for a bad study


class _Interrupts:
    """Remembers whether a person stopped the run."""

    seen = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.seen = excinfo.type is KeyboardInterrupt  # pytest's own, for errors of collection, are derived from it


def run_pytest(arguments: Sequence[str], *plugins: object) -> int:
    """Run the study files among ``arguments``; returns 0, 1, 2 or 130."""
    interrupts = _Interrupts()
    code = int(pytest.main(["--llem-only", *plugin_arguments(), *arguments], plugins=[interrupts, *plugins]))
    if interrupts.seen:
        return INTERRUPTED
    return code if code in (0, 1) else 2


def run_study(text: str, arguments: Sequence[str]) -> int:
    """The same for a study without a file: it lies for so long where pytest finds the ini file of this folder.

    Raises LlemError where it should go on with an earlier run: its one experiment is done, or was not."""
    if any(argument.partition("=")[0] == "--llem-resume" for argument in arguments):
        raise LlemError("--llem-resume needs a study file: the one experiment of -m has nothing to go on with")
    here = Path.cwd() if os.access(Path.cwd(), os.W_OK) else None
    with TemporaryDirectory(prefix=".llem-run-", dir=here) as folder:
        Path(folder, ".gitignore").write_text("*\n")  # the repository is no less clean for it
        path = Path(folder, "llem-run.yaml")
        path.write_text(text)
        return run_pytest([str(path), *arguments])


def plugin_arguments() -> list[str]:
    """What loads the plugin where the package is on the path only."""
    from importlib.metadata import entry_points

    installed = any(point.value == "pytest_llem.plugin" for point in entry_points(group="pytest11"))
    return [] if installed else ["-p", "pytest_llem.plugin"]


def study_text(model: str, backend: str, prompts: str | None, batch_size: int | None) -> str:
    """A study of one experiment. JSON is YAML, and quotes whatever the user typed; raises LlemError for no number.

    A model's folder is made absolute, for the study may lie anywhere."""
    if prompts is not None and not prompts.isdecimal():
        raise LlemError(f"-n {prompts}: with -m it is the number of prompts")
    model = str(Path(model).expanduser().absolute()) if is_folder(model) else model
    dataset = {"n": int(prompts or 8)}
    study: dict[str, object] = {"llem": 1, "name": "run", "model": model, "backend": backend, "dataset": dataset}
    if batch_size is not None:
        study["pytorch"] = {"batch_size": batch_size}
    return json.dumps(study, indent=1)
