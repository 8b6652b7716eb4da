"""Words for a study's messages: values as YAML writes them, lists, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word most like ``word``, or ``None`` when none is like it."""
    matches = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """``did you mean X?``, or ``otherwise`` when nothing is near."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else otherwise


def shown(value: object) -> str:
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
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int) -> str:
    """A count of things; a product of many lists has more digits than Python likes to print."""
    return str(number) if number < 10**12 else "more than 10^12"
