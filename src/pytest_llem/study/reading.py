"""Reading YAML text into a ``Document``: strict, bounded, with the line of every key.

Scalars are those of YAML 1.2's core schema, so that ``yes``, ``1_000``, ``12:30`` and ``2026-01-01`` stay the text that
they look like. Anchors and aliases work; what they expand to is limited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NoReturn

import yaml

from pytest_llem.study.document import Document, Json, Key, Place, Problems, dotted
from pytest_llem.study.look import LARGEST_BYTES

DEEPEST = 40
MOST_NODES = 200_000

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def shown_path(path: Path) -> str:
    """The path as a user would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def read_text(path: Path) -> str:
    """The file's text. Raises ``StudyError`` when it is missing, too large or not UTF-8."""
    problems, place = Problems(), Place(shown_path(path))
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            problems.stop(place, "is not a file", "name one study in it" if path.is_dir() else None)
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        problems.stop(place, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(raw) > LARGEST_BYTES:
        size_mb, limit_mb = status.st_size / 1e6, LARGEST_BYTES / 1e6
        problems.stop(place, f"the file has {size_mb:.1f} MB; a study file may have {limit_mb:.0f} MB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.stop(Place(place.file, line), "the file is not UTF-8 text", "save it with the encoding UTF-8")


def parse(text: str, file: str) -> Document:
    """The document in ``text``. Raises ``StudyError`` with every mistake of form found in it."""
    document = Document(file, {})
    try:
        data = _Builder(document).build(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as error:
        document.problems.stop(Place(file, _error_line(error, text)), *_explained(error, text))
    if data is None:
        document.problems.stop(Place(file, 1), "the file is empty; a study is a mapping that starts with llem: 1")
    if not isinstance(data, dict):
        document.problems.stop(Place(file, 1), "a study is a mapping of keys to values, and this is not one")
    document.problems.stop_if_any()
    document.data.update(data)
    return document


class _Builder:
    """Builds values from parser events, and notes the place of each key in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._anchors: dict[str, tuple[Json, int]] = {}  # name -> value, nodes in it
        self._nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> Json:
        value: Json = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "the file holds more than one YAML document; keep one")
                value = self._value(next(events), events, ())
        return value

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], key: Key) -> Json:
        if len(key) > DEEPEST:
            self._stop(event, f"the file is nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._stop(event, f"the alias *{str(event.anchor)[:40]} has no anchor before it")
            value, nodes = self._anchors[event.anchor]
            self._count(nodes, event)
            return value
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # what else a value can begin with
        before = self._nodes
        self._count(1, event)
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._wrong(event, key, f"the YAML tag {event.tag[:60]} is not allowed", "write the value without a tag")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, key)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(events, key)
        else:
            value = self._sequence(events, key)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _mapping(self, events: Iterator[yaml.Event], key: Key) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            name = event.value if isinstance(event, yaml.ScalarEvent) else "?"
            below = (*key, name)
            if not isinstance(event, yaml.ScalarEvent):
                self._wrong(event, (), "a key must be plain text, not a list, a mapping or an alias")
                self._value(event, events, below)
            elif not name.isprintable():
                self._wrong(event, below, "the key holds a character that cannot be printed")
            elif name in found:
                first = self._document.places[below].line
                self._wrong(event, below, f"this key is given twice; the first time on line {first}")
            elif name == "<<" and event.implicit[0]:
                self._wrong(event, ("<<",), "merge keys are not part of a study file", "use base: FILE instead")
            self._document.places[below] = self._place(event)
            found[name] = self._value(next(events), events, below)
        return found

    def _sequence(self, events: Iterator[yaml.Event], key: Key) -> list[Json]:
        found: list[Json] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            below = (*key, len(found))
            self._document.places[below] = self._place(event)
            found.append(self._value(event, events, below))
        return found

    def _scalar(self, event: yaml.ScalarEvent, key: Key) -> Json:
        text: str = event.value
        if _CONTROL.search(text):
            self._wrong(event, key, "the text holds a control character")
        if not event.implicit[0]:  # quoted, or tagged as text
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text) and len(text) <= 40:
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
            self._wrong(event, key, f"{text[:40]} is too large a number")
        elif _NOT_FINITE.fullmatch(text):
            self._wrong(event, key, f"{text} is not a finite number")
        return text

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._stop(event, f"the file expands to more than {MOST_NODES} values")

    def _place(self, event: yaml.Event) -> Place:
        assert event.start_mark is not None  # the parser sets it for every event
        return Place(self._document.file, event.start_mark.line + 1)

    def _wrong(self, event: yaml.Event, key: Key, message: str, hint: str | None = None) -> None:
        self._document.problems.add(self._place(event), dotted(key) or None, message, hint)

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        self._document.problems.stop(self._place(event), message)


def _error_line(error: yaml.YAMLError, text: str) -> int | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    position = getattr(error, "position", None)
    return None if position is None else text.count("\n", 0, position) + 1


def _explained(error: yaml.YAMLError, text: str) -> tuple[str, str | None]:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed")
    mark = getattr(error, "problem_mark", None)
    if mark is not None and "cannot start any token" in problem:
        character = text[mark.index : mark.index + 1]
        if character == "\t":
            return "not valid YAML: a tab stands where YAML wants spaces", "indent with spaces"
        return f"not valid YAML: a value cannot start with {character!r}", "put the value in quotes"
    return f"not valid YAML: {problem[:200]}", None
