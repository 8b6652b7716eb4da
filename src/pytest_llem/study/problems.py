"""Collecting every mistake of a study, and saying what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from pytest_llem.errors import Problem, StudyError
from pytest_llem.study.document import Document, Json, Key, Place, dotted

MOST_PROBLEMS = 100
"""A file with more mistakes than this shows the first ones and the count of the rest."""


class Problems:
    """The mistakes found so far, each once, in the order of their lines."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    @property
    def full(self) -> bool:
        """Whether so many were found that hints are not worth computing any more."""
        return len(self._found) >= MOST_PROBLEMS

    def add(self, place: Place, key: str | None, message: str, hint: str | None = None) -> None:
        self._found[Problem(place.file, place.line, key, message, hint)] = None

    def at(self, document: Document, key: Key, message: str, hint: str | None = None) -> None:
        """Add a mistake at a key of a document, which knows the key's file and line."""
        self.add(document.place(key), dotted(key) or None, message, hint)

    def extend(self, problems: Iterable[Problem]) -> None:
        self._found.update(dict.fromkeys(problems))

    def stop(self) -> NoReturn:
        """Raise ``StudyError`` with what was found."""
        ordered = sorted(self._found, key=lambda problem: (problem.file, problem.line or 0))
        shown = ordered[:MOST_PROBLEMS]
        if len(ordered) > MOST_PROBLEMS:
            shown.append(Problem(ordered[0].file, None, None, f"and {len(ordered) - MOST_PROBLEMS} more mistakes"))
        raise StudyError(shown)

    def stop_if_any(self) -> None:
        if self._found:
            self.stop()


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word most like ``word``, or ``None`` when none is like it."""
    matches = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Sequence[str], *, otherwise: str | None = None) -> str | None:
    """``did you mean X?``, or ``otherwise`` when nothing is near."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else otherwise


def shown(value: Json) -> str:
    """A value as YAML writes it, cut to a readable length."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int) -> str:
    """A count of things; a product of many lists has more digits than Python likes to print."""
    return str(number) if number < 10**12 else "more than 10^12"
