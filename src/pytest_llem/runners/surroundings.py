"""What an experiment runs on: the environment, written once into each run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_llem.energy.environment import Environment, snapshot
from pytest_llem.results.store import RunFolder, write_json


class Surroundings:
    """Takes a snapshot for each run; ``amend`` may add keys of its own to it."""

    def __init__(self, amend: Callable[[dict[str, str]], None]) -> None:
        self._amend = amend
        self._taken: dict[Path, Environment] = {}

    def of(self, folder: RunFolder, base: Path, versions: dict[str, str]) -> str:
        """The hash of the environment, whose snapshot is in the run's folder from now on.

        ``base``: the study's folder, for its state in source control. ``versions``: the worker's libraries."""
        if folder.path not in self._taken:
            environment = snapshot(base, versions)
            added: dict[str, str] = {}
            self._amend(added)
            write_json(folder.path / "environment.json", {**environment.plain(), "added": added})
            self._taken[folder.path] = environment
        return self._taken[folder.path].hash()
