"""One run of one study while it goes on: the manifest follows every step, and is on disk before the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llem.errors import ResultError, RunChanged
from pytest_llem.results.clock import now
from pytest_llem.results.manifest import Entry, Manifest, Status, create_manifest, read_manifest, write_manifest
from pytest_llem.results.store import RunFolder, write_atomic
from pytest_llem.study.study import Cell, Study

STUDY, STOPPED, _LOCK = "study.yaml", "stopped", ".lock"


@dataclass
class Run:
    """A run's folder with its manifest. Only one process may change it: the one that holds it."""

    folder: RunFolder
    manifest: Manifest
    _lock: FileLock | None = field(default=None, repr=False)
    _failures: int = 0  # in a row

    @classmethod
    def create(cls, folder: RunFolder, manifest: Manifest) -> Run:
        """Write the manifest unless another process of the same run was first; then take that one."""
        create_manifest(folder.manifest, manifest)
        return cls(folder, read_manifest(folder.manifest))

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run in a folder; raises ResultError."""
        folder = RunFolder(path)
        return cls(folder, read_manifest(folder.manifest))

    def hold(self) -> None:
        """Keep other processes from going on with this run; raises ResultError where one is at it."""
        self._lock = FileLock(self.folder.path / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ResultError(
                f"{self.folder.run_id}: another process is running it", hint="wait until it has ended"
            ) from None
        except OSError as error:
            raise ResultError(f"{self.folder.path}: cannot be written to: {error.strerror or error}") from error

    def let_go(self) -> None:
        """Another process may go on with this run."""
        if self._lock is not None:
            self._lock.release()

    def started(self, nodeid: str) -> None:
        """A cell is running now."""
        self._change(nodeid, status="running", started_at=now(), finished_at=None)

    def ended(
        self,
        nodeid: str,
        status: Status,
        *,
        result: str | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
    ) -> None:
        """A cell has come to its end; ``result``: path of its result, below the run's folder."""
        self._change(
            nodeid,
            status=status,
            finished_at=now(),
            result=result,
            error_type=error_type,
            error_message=None if error_message is None else error_message[:4000],
        )

    def count(self, status: Status, *, measured: bool, error_type: str | None = None) -> str | None:
        """Count failures in a row; the reason to stop where they are too many. A broken budget is no failure."""
        if status == "skipped":
            return None
        if error_type == RunChanged.__name__:
            return "stopped: this is not what the run's earlier results were measured on"
        self._failures = 0 if measured else self._failures + 1
        if self._failures != self.manifest.max_consecutive_failures or measured:
            return None
        return (
            f"stopped: {self._failures} experiments in a row failed (execution.max_consecutive_failures);"
            " --llem-resume goes on"
        )

    def stop(self, reason: str) -> None:
        """Run no more cells, in any of the run's processes; they look at :func:`stopped`."""
        write_atomic(self.folder.path / STOPPED, reason.encode() + b"\n")
        self._write(self.manifest.model_copy(update={"status": "stopped", "note": reason}))

    def resume(self) -> None:
        """The run goes on: nothing is running yet, and what stopped it counts no longer."""
        (self.folder.path / STOPPED).unlink(missing_ok=True)
        left = [e.model_copy(update={"status": "interrupted"}) for e in self.manifest.cells if e.status == "running"]
        manifest = self.manifest.with_entries(left)
        self._write(manifest.model_copy(update={"status": "running", "note": None, "finished_at": None}))

    def finished(self, *, interrupted: bool) -> None:
        """Nothing more will be run; what still runs was interrupted."""
        running = [entry for entry in self.manifest.cells if entry.status == "running"]
        manifest = self.manifest.with_entries(e.model_copy(update={"status": "interrupted"}) for e in running)
        status = "interrupted" if interrupted else "stopped" if manifest.status == "stopped" else "finished"
        self._write(manifest.model_copy(update={"status": status, "finished_at": now()}))

    def add(self, entry: Entry) -> None:
        """A cell that was not known when the run began: a test with the ``llem`` fixture."""
        self._write(self.manifest.with_entries([entry]))

    def entry(self, nodeid: str) -> Entry | None:
        """How a cell stands."""
        return next((entry for entry in self.manifest.cells if entry.nodeid == nodeid), None)

    def _change(self, nodeid: str, **changes: object) -> None:
        entry = self.entry(nodeid)
        if entry is not None:
            self._write(self.manifest.with_entries([entry.model_copy(update=changes)]))

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        write_manifest(self.folder.manifest, manifest)


def begin(folder: RunFolder, study: Study, cells: Mapping[str, Cell], tool_version: str) -> None:
    """Write the study and a manifest that lists every cell, by its node id, as pending.

    In a folder that has a manifest, cells that it lacks are added: every process of a run, and one that goes on with
    it, comes here. Raises ResultError."""
    entries = [
        Entry(nodeid=nodeid, cell_id=cell.id, config_hash=cell.config_hash, cycle=cell.cycle)
        for nodeid, cell in cells.items()
    ]
    if folder.manifest.exists():
        _add_missing(folder, study, entries)
        return
    write_atomic(folder.path / STUDY, study.source.encode())
    manifest = Manifest(
        tool_version=tool_version,
        run_id=folder.run_id,
        study=study.name,
        study_file=study.file,
        study_hash=study.study_hash,
        max_cycles=study.execution.limit,
        max_consecutive_failures=study.execution.max_consecutive_failures,
        started_at=now(),
        cells=tuple(entries),
    )
    create_manifest(folder.manifest, manifest)


def _add_missing(folder: RunFolder, study: Study, entries: Iterable[Entry]) -> None:
    """Cells that the manifest does not list; and those that it lists under the node id of another working directory."""
    manifest = read_manifest(folder.manifest)
    own = manifest.study_is_gone or manifest.study_file == study.file
    if manifest.study_hash != study.study_hash or not own:
        raise ResultError(
            f"{manifest.run_id} holds another study of this name: {manifest.study_file}",
            hint="start a new run without --llem-resume, or resume with the study that it was begun with",
        )
    known = {entry.cell_id: entry for entry in manifest.cells}
    wanted = {
        entry.cell_id: known[entry.cell_id].model_copy(update={"nodeid": entry.nodeid})
        if entry.cell_id in known
        else entry
        for entry in entries
    }
    cells = tuple({**known, **wanted}.values())
    if cells != manifest.cells:
        write_manifest(folder.manifest, manifest.model_copy(update={"cells": cells}))


def stopped(folder: RunFolder) -> str | None:
    """Why no more cells of a run are to be run; None while it goes on."""
    try:
        return (folder.path / STOPPED).read_text().strip()
    except OSError:
        return None
