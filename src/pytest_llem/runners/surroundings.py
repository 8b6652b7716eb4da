"""What an experiment runs on: the environment, written once into each run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_llem.energy.environment import Environment, snapshot
from pytest_llem.results.store import RunFolder, write_json

FILE = "environment.json"


class Surroundings:
    """Takes a snapshot for each run. ``amend`` may add keys of its own to it; ``warn`` is told when a run that is gone
    on with had another environment before."""

    def __init__(self, amend: Callable[[dict[str, str]], None], warn: Callable[[str], None]) -> None:
        self._amend = amend
        self._warn = warn
        self._taken: dict[Path, Environment] = {}

    def of(self, folder: RunFolder, base: Path, versions: dict[str, str]) -> str:
        """The hash of the environment, whose snapshot is in the run's folder from now on.

        ``base``: the study's folder, for its state in source control. ``versions``: the worker's libraries."""
        if folder.path not in self._taken:
            environment = snapshot(base, versions)
            added: dict[str, str] = {}
            self._amend(added)
            self._write(folder, {**environment.plain(), "added": added})
            self._taken[folder.path] = environment
        return self._taken[folder.path].hash()

    def _write(self, folder: RunFolder, plain: dict[str, object]) -> None:
        path = folder.path / FILE
        try:
            before = json.loads(path.read_bytes())
        except (OSError, ValueError):
            write_json(path, plain)
            return
        if before.get("environment_hash") != plain["environment_hash"]:
            found = "; ".join(differences(before, json.loads(json.dumps(plain))))
            self._warn(f"{folder.run_id}: the environment is not that of {FILE}: {found}")
            write_json(path.with_stem(f"{path.stem}-{plain['environment_hash']}"), plain)


def differences(before: object, after: object, path: str = "") -> list[str]:
    """``driver.version: 570 → 580``: every leaf in which two JSON values differ, but for what no hash counts."""
    if isinstance(before, list) and isinstance(after, list):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [name for name in {**before, **after} if name not in ("environment_hash", "git", "variables", "added")]
        return [
            line
            for name in names
            for line in differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        ]
    return [] if before == after else [f"{path}: {_short(before)} → {_short(after)}"]


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
