"""Trees of variants whose run was killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llem.processes import temporary_prefix
from pytest_llem.runners.trees import variant_runner
from pytest_llem.study.variants import Variant, VariantSpec

PREFIX = "from pytest_llem.processes import temporary_prefix; print(temporary_prefix(), end='')"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "top")
    git(tmp_path / "top", "commit", "--quiet", "--allow-empty", "-m", "first")
    return tmp_path / "top"


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    return subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def trees(top: Path) -> list[str]:
    return [line for line in git(top, "worktree", "list", "--porcelain").splitlines() if line.startswith("worktree ")]


@pytest.mark.parametrize("swept", [False, True])
def test_git_forgets_the_trees_of_killed_runs_and_no_others(top: Path, tmp_path: Path, swept: bool) -> None:
    dead = subprocess.run([sys.executable, "-c", PREFIX], capture_output=True, text=True, check=True).stdout
    commit = git(top, "rev-parse", "HEAD").strip()
    for prefix in (dead, temporary_prefix(), "mine-"):
        git(top, "worktree", "add", "--detach", "--quiet", str(tmp_path / f"{prefix}x" / "tree"), commit)
    if swept:
        shutil.rmtree(tmp_path / f"{dead}x")
    shutil.rmtree(tmp_path / "mine-x")  # on a disk that is elsewhere today
    with variant_runner(Variant("old", None, VariantSpec(git="HEAD"), top, commit)):
        assert len(trees(top)) == 4
    assert not (tmp_path / f"{dead}x" / "tree").exists()
    kept = [top, tmp_path / f"{temporary_prefix()}x" / "tree", tmp_path / "mine-x" / "tree"]
    assert sorted(trees(top)) == sorted(f"worktree {path}" for path in kept)
