"""One run of one study while it goes on: the manifest follows every step, and is on disk before the next one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_llem.results.clock import now
from pytest_llem.results.manifest import Entry, Manifest, Status, create_manifest, read_manifest, write_manifest
from pytest_llem.results.store import RunFolder


@dataclass
class Run:
    """A run's folder with its manifest. Only one process may change it."""

    folder: RunFolder
    manifest: Manifest

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

    def finished(self, *, interrupted: bool) -> None:
        """Nothing more will be run; what still runs was interrupted."""
        running = [entry for entry in self.manifest.cells if entry.status == "running"]
        manifest = self.manifest.with_entries(e.model_copy(update={"status": "interrupted"}) for e in running)
        status = "interrupted" if interrupted else "finished"
        self._write(manifest.model_copy(update={"status": status, "finished_at": now()}))

    def add(self, entry: Entry) -> None:
        """A cell that was not known when the run began."""
        self._write(self.manifest.with_entries([entry]))

    def _change(self, nodeid: str, **changes: object) -> None:
        entry = next((entry for entry in self.manifest.cells if entry.nodeid == nodeid), None)
        if entry is not None:
            self._write(self.manifest.with_entries([entry.model_copy(update=changes)]))

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        write_manifest(self.folder.manifest, manifest)
