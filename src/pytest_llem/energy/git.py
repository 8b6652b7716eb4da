"""Which state of a folder's source a study was run from."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class GitState:
    """The commit checked out, and whether tracked files differ from it."""

    commit: str
    dirty: bool


def git_state(folder: Path) -> GitState | None:
    """None outside of a repository, before its first commit, or where git is not installed. Remotes, which may hold
    passwords, are not read."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return GitState(commit.strip(), bool(changes.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a look must not disturb a commit in progress
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
