"""What an experiment runs on: the environment, written once into each run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_llem.energy.environment import Environment, snapshot
from pytest_llem.results.store import RunFolder, write_json
from pytest_llem.runners.devices import DevicePlan


class Surroundings:
    """Takes the snapshot on first use; ``amend`` may add to it."""

    def __init__(self, amend: Callable[[dict[str, str]], None]) -> None:
        self._amend = amend
        self._taken: Environment | None = None
        self._written: set[Path] = set()
