"""Asking git about a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_llem.errors import LlemError


def git(folder: Path, *arguments: str, limit_s: float | None = 5.0) -> str:
    """What git prints; raises LlemError with what it complains of."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a look must not disturb a commit in progress
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=limit_s, env=environment, check=True
        )
    except FileNotFoundError:
        raise LlemError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise LlemError(f"git {arguments[0]}: {error.stderr.strip()}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise LlemError(f"git {arguments[0]}: {error}") from None
    return done.stdout.strip()
