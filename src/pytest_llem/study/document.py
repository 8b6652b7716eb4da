"""A tree of plain values that remembers where each was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Key: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True)
class Place:
    """A file as the user named it, and a line of it; a study made in Python has no lines."""

    file: str
    line: int | None = None


@dataclass(frozen=True)
class Document:
    """``data`` and, for each key path in it, its place. A path that is not listed lies where its parent lies."""

    file: str
    data: dict[str, Json]
    places: dict[Key, Place] = field(default_factory=dict)

    def place(self, key: Key) -> Place:
        for length in range(len(key), 0, -1):
            if (place := self.places.get(key[:length])) is not None:
                return place
        return Place(self.file)

    def over(self, base: Document, *, without: frozenset[str]) -> Document:
        """This document with ``base``'s keys, except those of ``without``, as defaults; mappings merge deeply."""
        kept = {key: value for key, value in base.data.items() if key not in without}
        places = {key: place for key, place in base.places.items() if key[0] not in without}
        return Document(self.file, merged(kept, self.data), places | self.places)


def merged(base: dict[str, Json], over: dict[str, Json]) -> dict[str, Json]:
    """``over`` laid over ``base``: mappings merge, everything else is replaced. Neither argument is changed."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def dotted(key: Key) -> str:
    """``('budgets', 0, 'max')`` as ``budgets[0].max``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 120 else f"{text[:117]}..."
