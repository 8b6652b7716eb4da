"""``manifest.json``: every cell of a run and how it stands, true at every moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from pytest_llem.errors import ResultError
from pytest_llem.results.model import Record
from pytest_llem.results.store import first_problem, write_json

Status = Literal["pending", "running", "passed", "failed", "over_budget", "error", "skipped", "interrupted"]
DONE: frozenset[Status] = frozenset({"passed", "over_budget"})


VERSION = 1
_DAMAGED = "the results beside it are whole; a new run makes a manifest of its own"


class Entry(Record):
    """One cell."""

    nodeid: str
    cell_id: str
    config_hash: str
    cycle: int
    status: Status = "pending"
    started_at: str | None = None
    finished_at: str | None = None
    result: str | None = None  # path below the run's folder
    error_type: str | None = None
    error_message: str | None = None


class Manifest(Record):
    """One run of one study."""

    manifest_version: int = VERSION
    tool_version: str
    run_id: str
    study: str
    study_file: str
    study_hash: str
    max_consecutive_failures: int = 0
    started_at: str
    finished_at: str | None = None
    status: Literal["running", "finished", "interrupted", "stopped"] = "running"
    note: str | None = None
    max_cycles: int | None = None  # of a study with ``cycles: auto``: it goes on until decided, this long at most
    cells: tuple[Entry, ...] = Field(default=())

    @property
    def study_is_gone(self) -> bool:
        """Whether the study's file is no longer where it was: moved, or this is another machine."""
        return not Path(self.study_file).exists()

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to go on with."""
        decided = self.max_cycles is not None and self.status == "finished"  # then cycles are skipped
        return all(
            entry.status in DONE or (entry.status == "skipped" and (decided or entry.result is not None))
            for entry in self.cells
        )

    @property
    def unmeasured(self) -> list[str]:
        """The cells that should have a result and have none; what was skipped was meant to be."""
        left = [entry for entry in self.cells if entry.result is None and entry.status not in {*DONE, "skipped"}]
        return [entry.cell_id for entry in left]

    def with_entries(self, changed: Iterable[Entry]) -> Manifest:
        """The same manifest with some entries replaced, and those that it did not have added."""
        entries = {entry.nodeid: entry for entry in (*self.cells, *changed)}
        return self.model_copy(update={"cells": tuple(entries.values())})


def read_manifest(path: Path) -> Manifest:
    """The manifest in ``path``; raises ResultError where it is missing, damaged or too new."""
    try:
        return Manifest.model_validate(data := json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        hint = "name the folder of a run, such as llem-results/RUN"
        raise ResultError(f"{path.parent}: there is no run here", hint=hint) from None
    except ValidationError as error:
        version = data.get("manifest_version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            why = f"version {version} of the format; this pytest-llem reads version {VERSION}"
            raise ResultError(f"{path}: {why}", hint="pip install -U pytest-llem") from None
        raise ResultError(f"{path}: is damaged: {first_problem(error)}", hint=_DAMAGED) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: cannot be read as a manifest: {error}", hint=_DAMAGED) from None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest, atomically."""
    write_json(path, manifest.model_dump(mode="json"))


def create_manifest(path: Path, manifest: Manifest) -> None:
    """Write the first manifest unless another process of the same run already has."""
    fresh = path.with_name(f".first-{os.getpid()}-{path.name}")
    write_manifest(fresh, manifest)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not path.exists():
            write_manifest(path, manifest)
    finally:
        fresh.unlink(missing_ok=True)
