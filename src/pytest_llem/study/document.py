"""A tree of plain values that remembers where each was written, and collects the mistakes found in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from pytest_llem.errors import Problem, StudyError

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Key: TypeAlias = "tuple[str | int, ...]"

MOST_PROBLEMS = 100
"""A file with more mistakes than this shows the first ones and the count of the rest."""


@dataclass(frozen=True)
class Place:
    """A file as the user named it, and a line of it; a study made in Python has no lines."""

    file: str
    line: int | None = None


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

    def stop(self, place: Place, message: str, hint: str | None = None) -> NoReturn:
        """Raise ``StudyError`` with what was found and this one, after which nothing more can be read."""
        self.add(place, None, message, hint)
        raise self._error()

    def stop_if_any(self) -> None:
        """Raise ``StudyError`` with what was found."""
        if self._found:
            raise self._error()

    def _error(self) -> StudyError:
        ordered = sorted(self._found, key=lambda problem: (problem.file, problem.line or 0))
        more = len(ordered) - MOST_PROBLEMS
        rest = [Problem(ordered[0].file, None, None, f"and {more} more mistakes")] if more > 0 else []
        return StudyError([*ordered[:MOST_PROBLEMS], *rest])


@dataclass(frozen=True)
class Document:
    """``data`` and, for each key path in it, its place. A path that is not listed lies where its parent lies."""

    file: str
    data: dict[str, Json]
    places: dict[Key, Place] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def place(self, key: Key) -> Place:
        for length in range(len(key), 0, -1):
            if (place := self.places.get(key[:length])) is not None:
                return place
        return Place(self.file)

    def wrong(self, key: Key, message: str, hint: str | None = None) -> None:
        """Note a mistake at ``key``."""
        self.problems.add(self.place(key), dotted(key) or None, message, hint)


def merged(base: dict[str, Json], over: dict[str, Json]) -> dict[str, Json]:
    """``over`` laid over ``base``: mappings merge, everything else is replaced. Neither argument is changed."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def dotted(key: Key) -> str:
    """``('budgets', 0, 'max')`` as ``budgets[0].max``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 120 else f"{text[:117]}..."
