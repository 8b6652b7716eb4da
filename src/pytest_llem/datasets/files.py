"""Prompts from a file of the user's: JSON lines or CSV."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_llem.errors import DatasetError

DEFAULT_COLUMN = "prompt"


def read_texts(source: str, column: str | None) -> list[str]:
    """All prompts of a ``.jsonl`` or ``.csv`` file, in order; raises DatasetError with file and line.

    ``column`` names the field that holds the prompt; ``prompt`` where it is None. A line of a JSONL file may also be a
    bare string. Empty lines are skipped.
    """
    path = Path(source)
    readers = {".jsonl": _json_lines, ".csv": _csv_rows}
    if path.suffix not in readers:
        raise DatasetError(
            f"unknown dataset source {source!r}",
            hint="use synthetic, aienergyscore, or a file ending in .jsonl or .csv",
        )
    try:
        with path.open(encoding="utf-8-sig", newline="" if path.suffix == ".csv" else None) as lines:
            texts = list(readers[path.suffix](path, lines, column or DEFAULT_COLUMN))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error
    if not texts:
        raise DatasetError(f"{path} holds no prompts")
    return texts


def _json_lines(path: Path, lines: Iterable[str], column: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.rstrip())
        except ValueError as error:  # also for a number of five thousand digits
            why = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DatasetError(f"{path}:{number}: not JSON: {why}") from error
        if isinstance(record, dict):
            record = _field(path, number, record, column)
        yield _text(path, number, record)


def _csv_rows(path: Path, lines: Iterable[str], column: str) -> Iterator[str]:
    reader = csv.DictReader(lines)
    try:
        for row in reader:
            yield _text(path, reader.line_num, _field(path, reader.line_num, row, column))
    except csv.Error as error:
        raise DatasetError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _field(path: Path, number: int, record: dict[str, object], column: str) -> object:
    if column in record:
        return record[column]
    names = [name for name in record if name is not None]
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"set dataset.column to one of: {', '.join(names)}"
    raise DatasetError(f"{path}:{number}: no column {column!r}", hint=hint)


def _text(path: Path, number: int, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(f"{path}:{number}: the prompt is not a text, or empty")
    return value
