"""What experiments run on: the environment, written once into each run's folder, and whether it is still the same."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_llem.energy.environment import Environment, library_versions, snapshot
from pytest_llem.errors import RunChanged
from pytest_llem.results.store import RESULT, RunFolder, write_json
from pytest_llem.runners.base import Runner
from pytest_llem.study.study import Cell

FILE = "environment.json"
_IMAGE = ("image", "image_digest")


class Surroundings:
    """Takes a snapshot for each run, and compares it where a run is gone on with.

    ``amend`` may add keys of its own to a snapshot. ``warn`` is told of changes that are accepted."""

    def __init__(
        self, amend: Callable[[dict[str, str]], None], warn: Callable[[str], None], *, accept_changes: bool = False
    ) -> None:
        self._amend = amend
        self._warn = warn
        self._accept = accept_changes
        self._taken: dict[tuple[Path, str, tuple[tuple[str, str], ...]], Environment] = {}
        self._changes: dict[tuple[Path, str, str], list[str]] = {}

    def check(self, folder: RunFolder, base: Path, cell: Cell, runner: Runner) -> None:
        """Raise RunChanged where the run's results of the cell's backend and variant were measured on something else;
        warn of it where that is accepted."""
        key = (folder.path, cell.config.backend, cell.variant_name)
        if key not in self._changes:
            self._changes[key] = _changes(folder, base, cell, runner)
            if self._changes[key] and self._accept:
                self._warn(
                    f"{folder.run_id}: not what earlier results were measured on: {'; '.join(self._changes[key])}"
                )
        if self._changes[key] and not self._accept:
            raise RunChanged(
                f"{folder.run_id} cannot be gone on with, it was measured on something else: "
                + "; ".join(self._changes[key]),
                hint="put it back as it was, start a new run without --llem-resume, or add --llem-accept-changes",
            )

    def check_prompts(self, folder: RunFolder, cell: Cell, prompt_hash: str) -> None:
        """Raise RunChanged where another cycle of this experiment got other prompts, of a file that was changed since,
        say; warn of it where that is accepted."""
        stem = cell.id.removesuffix(f"-c{cell.cycle}")
        if stem == cell.id:
            return
        others = [_read(path) for path in folder.path.glob(f"{glob.escape(stem)}-c*/{RESULT}")]
        alike = [one for one in others if one.get("config_hash") == cell.config_hash]  # not bs1-compile-c1 for bs1-c1
        told = [str(one.get("cell_id")) for one in alike if one.get("prompt_hash") != prompt_hash]
        if not told:
            return
        text = f"{folder.run_id}: {cell.id} got other prompts than {', '.join(sorted(told))}"
        if not self._accept:
            hint = "put the prompts back as they were, start a new run, or add --llem-accept-changes"
            raise RunChanged(text, hint=hint)
        self._warn(text)

    def of(self, folder: RunFolder, base: Path, versions: dict[str, str], variant: str = "") -> str:
        """The hash of the environment, whose snapshot is in the run's folder from now on.

        ``base``: the study's folder, for its state in source control. ``versions``: the worker's libraries."""
        key = (folder.path, variant, tuple(sorted(versions.items())))  # each backend's worker has libraries of its own
        if key not in self._taken:
            environment = snapshot(base, versions)
            added: dict[str, str] = {}
            self._amend(added)
            path = folder.path / FILE
            before = _read(path).get("environment_hash")
            if before not in (None, environment.hash()):
                path = path.with_stem(f"{path.stem}-{environment.hash()}")
            write_json(path, {**environment.plain(), "added": added})
            self._taken[key] = environment
        return self._taken[key].hash()


def _changes(folder: RunFolder, base: Path, cell: Cell, runner: Runner) -> list[str]:
    """How machine, libraries, image differ from those of the results that the run has of its backend and variant."""
    backend, variant = cell.config.backend, cell.variant
    results = [_read(path) for path in folder.path.glob(f"*/{RESULT}")]
    earlier = [result for result in results if _of(result) == (backend, cell.variant_name)]
    if not earlier:
        return []
    image, last = runner.origin(backend), max(earlier, key=lambda result: str(result["finished_at"]))
    elsewhere = image or (variant is not None and variant.spec.python)  # the libraries are not this interpreter's
    found = []
    if image.get("image_digest") not in {result["runner"].get("image_digest") for result in earlier}:
        then, now = ({key: of.get(key) for key in _IMAGE} for of in (last["runner"], image))
        found += differences(then, now)
    hashes = {result["environment_hash"] for result in earlier}
    recorded = (_read(path) for path in folder.path.glob(f"{Path(FILE).stem}*.json"))
    before = next((one for one in recorded if one.get("environment_hash") == last["environment_hash"]), None)
    if before is not None:
        environment = snapshot(base, before["versions"] if elsewhere else _still(before["versions"]))
        if environment.hash() not in hashes:
            found += differences(before, json.loads(json.dumps(environment.plain())))
    return found


def _of(result: Mapping[str, Any]) -> tuple[str | None, str]:
    return result.get("config", {}).get("backend"), result.get("variant", {}).get("name", "")


def _still(versions: Mapping[str, str]) -> dict[str, str]:
    """Those of a worker's library versions that hold for this interpreter: a library itself may say more (2.9.0+cpu)
    than what is installed says."""
    now = library_versions()
    return {k: v for k, v in versions.items() if now.get(k, v).partition("+")[0] == v.partition("+")[0]}


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where it is missing or damaged: then it is measured or taken again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
