"""``llem ab``: two revisions, images or environments measured in turn on one GPU, the sound way to compare them.

Each turn is a pytest run of its own in that side's tree. The turns go ABBA, so that a steady drift of the machine
falls on both sides alike.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_llem.commands.compare import judge
from pytest_llem.commands.run import plugin_arguments
from pytest_llem.errors import LlemError
from pytest_llem.results.baseline import Baseline
from pytest_llem.results.clock import new_stamp
from pytest_llem.results.judgement import Runs


@dataclass(frozen=True)
class Side:
    """Where one side is run, with what, and where its results go."""

    tree: Path
    results: Path
    arguments: tuple[str, ...]

    def measure(self, python: str, studies: Sequence[str]) -> None:
        """One cycle; broken budgets do not matter here. Raises LlemError where there was no run."""
        told = ["--llem-only", *plugin_arguments(), f"--llem-results={self.results}", *self.arguments, *studies]
        done = subprocess.run([python, "-m", "pytest", *told], cwd=self.tree, check=False)
        if done.returncode not in (0, 1):
            raise LlemError(f"pytest ended with {done.returncode} in {self.tree}", hint="its output above says why")

    def found(self) -> Baseline:
        """All cycles together; raises ResultError where there are none."""
        return Runs.read(sorted(path.parent for path in self.results.glob("*/manifest.json"))).baseline()


def run(arguments: argparse.Namespace) -> int:
    """Measure both sides, compare, and return 0, 1 (dearer now) or 125 (not sure); raises LlemError."""
    results = Path(arguments.results).resolve() / f"ab-{new_stamp()}"
    with _checked_out(arguments.ref) as tree:
        before = Side(tree, results / "before", tuple(shlex.split(arguments.before_args)))
        now = Side(Path.cwd(), results / "now", tuple(shlex.split(arguments.now_args)))
        if arguments.setup is not None:
            for side in (before, now):
                _setup(arguments.setup, side.tree)
        for cycle in range(arguments.cycles):
            for side in (before, now) if cycle % 2 == 0 else (now, before):
                side.measure(arguments.python, arguments.studies)
    return judge(before.found(), now.found(), arguments)


@contextmanager
def _checked_out(ref: str) -> Iterator[Path]:
    """The folder of a worktree of ``ref`` that is this folder there; removed in the end."""
    inside = Path(_git("rev-parse", "--show-prefix"))
    with tempfile.TemporaryDirectory(prefix="llem-ab-") as place:
        tree = Path(place) / "before"
        _git("worktree", "add", "--detach", "--quiet", str(tree), ref)
        try:
            if not (tree / inside).is_dir():
                raise LlemError(f"{ref} has no folder {inside}")
            yield tree / inside
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise LlemError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise LlemError(f"git {arguments[0]}: {error.stderr.strip()}") from None
    return done.stdout.strip()


def _setup(command: str, tree: Path) -> None:
    done = subprocess.run(command, shell=True, cwd=tree, check=False, stdout=sys.stderr)
    if done.returncode != 0:
        raise LlemError(f"--setup ended with {done.returncode} in {tree}: {command}")
