"""What a variant's worker is started with: its interpreter, and the tree of files that it imports the project from."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_llem.errors import LlemError, RunnerError
from pytest_llem.processes import left_behind, temporary_prefix
from pytest_llem.runners.local import LocalRunner
from pytest_llem.study.git import git
from pytest_llem.study.variants import Variant


@contextmanager
def variant_runner(variant: Variant) -> Iterator[LocalRunner]:
    """Starts the variant's workers; its setup has been run. Raises RunnerError, or LlemError with git's words."""
    with _tree(variant) as tree:
        if variant.spec.setup is not None:
            _set_up(variant.name, variant.spec.setup, tree)
        python = variant.python(tree)
        if python is None:
            raise RunnerError(f"variants.{variant.name}.python: there is no {variant.spec.python} in {tree}")
        yield LocalRunner(python, _paths(variant.top, tree))


def _set_up(name: str, command: str, tree: Path) -> None:
    done = subprocess.run(command, shell=True, cwd=tree, check=False, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RunnerError(f"variants.{name}.setup ended with {done.returncode} in {tree}: {command}\n{said}".strip())


@contextmanager
def _tree(variant: Variant) -> Iterator[Path]:
    """The working tree; for a revision a worktree of it, which is removed in the end."""
    if variant.commit is None:
        yield variant.top
        return
    _forget_dead(variant.top)
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as place:
        tree = Path(place, variant.commit[:12])
        git(variant.top, "worktree", "add", "--detach", "--quiet", str(tree), variant.commit, limit_s=None)
        try:
            yield tree
        finally:
            git(variant.top, "worktree", "remove", "--force", str(tree), limit_s=None)


def _forget_dead(top: Path) -> None:
    """Remove the worktrees of runs that were killed; git would list them for ever, folder or not."""
    for line in git(top, "worktree", "list", "--porcelain").splitlines():
        key, _, tree = line.partition(" ")
        if key == "worktree" and left_behind(Path(tree).parent):
            with suppress(LlemError):  # another run was faster
                # Twice, because one that was half made is still locked.
                git(top, "worktree", "remove", "--force", "--force", tree, limit_s=None)


def _paths(top: Path, tree: Path) -> list[str]:
    """Where modules are looked for first: what this process imports from the project, and its top and ``src``, in
    ``tree``. An installed copy of the project comes after, or both variants would run that."""
    imported = [Path(entry).resolve() for entry in sys.path if entry]
    own = [entry.relative_to(top.resolve()) for entry in imported if entry.is_relative_to(top.resolve())]
    kept = [entry for entry in own if not {"site-packages", "dist-packages"}.intersection(entry.parts)]
    found = [tree / entry for entry in (Path("src"), *kept, Path())]
    return list(dict.fromkeys(os.fspath(entry) for entry in found if entry.is_dir()))
