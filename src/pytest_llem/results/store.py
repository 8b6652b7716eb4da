"""Where results live on disk. Every file is written whole or not at all, and is there after a power cut."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pytest_llem.errors import ResultError
from pytest_llem.results.model import SCHEMA_VERSION, ExperimentResult

RESULT, CONFIG, TRACE, TIMESERIES, LOG = (
    "result.json",
    "config.json",
    "trace.json.gz",
    "timeseries.parquet",
    "worker.log",
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")  # what the ids of studies are made of is safe
_LONGEST, _DIGITS = 120, 8  # of a name; of the hash in one that is not its text


def write_atomic(path: Path, data: bytes) -> None:
    """Write to a temporary name beside ``path``, sync, rename; raises ResultError and leaves an old file as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResultError(
            f"{path}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another place for it (results: --llem-results=DIR)",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a new name in it last, as far as the file system can. The file is there: no error may say otherwise."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically, and the folders above it; raises ResultError."""
    _make(path.parent, parents=True)
    write_atomic(path, text.encode())


def _make(folder: Path, *, parents: bool = False, hint: str | None = None) -> None:
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{folder}: cannot be made: {error.strerror or error}", hint=hint) from error


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON (UTF-8, sorted only where the value is), atomically."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def read_result(path: Path) -> ExperimentResult:
    """The result in ``path``; raises ResultError where it is missing, damaged or of a newer schema."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: cannot be read as a result: {error}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ResultError(
            f"{path}: schema version {version!r}, this pytest-llem reads up to {SCHEMA_VERSION}",
            hint="pip install -U pytest-llem",
        )
    try:
        return ExperimentResult.model_validate(data)
    except ValidationError as error:
        raise ResultError(f"{path}: not a result: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """``KEY.KEY: what is wrong there``, of a file that does not fit its model."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"


def safe_name(text: str) -> str:
    """``text`` as one file name component; another one for every other text, or results would overwrite each other."""
    name = _UNSAFE.sub("-", text).strip("-.")[:_LONGEST] or "study"
    if name == text:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    return f"{name[: _LONGEST - _DIGITS - 1]}-{digest}"


@dataclass(frozen=True)
class RunFolder:
    """One run of one study on disk."""

    path: Path

    @classmethod
    def create(cls, results: Path, study: str, stamp: str) -> RunFolder:
        """Make the folder (or find it, when another worker of the same run was first)."""
        path = results / f"{safe_name(study)}-{stamp}"
        _make(path, parents=True, hint="choose another folder with --llem-results=DIR")
        ignore = results / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, b"# results are data, not source; keep them where data is kept\n*\n")
        return cls(path)

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def manifest(self) -> Path:
        """Where the manifest is."""
        return self.path / "manifest.json"

    def cell(self, cell_id: str) -> Path:
        """The folder of one cell, made when first asked for; raises ResultError."""
        path = self.path / safe_name(cell_id)
        _make(path, hint="free some space or choose another folder with --llem-results=DIR")
        return path

    def write_result(self, result: ExperimentResult) -> Path:
        """Write ``result.json`` and ``config.json`` of a cell; returns the result's path."""
        folder = self.cell(result.cell_id)
        write_json(folder / CONFIG, result.config)
        path = folder / RESULT
        write_json(path, result.model_dump(mode="json"))
        return path
