"""How a page words outcomes, counts, values and paths."""

from __future__ import annotations

from pydantic import JsonValue

from pytest_llem.report.units import NONE

Looks = tuple[str, str, str]
"""Style, sign, words: nothing is told by colour alone."""

OUTCOMES: dict[str, Looks] = {
    "passed": ("good", "✓", "passed"),
    "over_budget": ("bad", "✗", "over budget"),
    "failed": ("bad", "✗", "failed"),
    "error": ("bad", "✗", "error"),
    "inconclusive": ("unsure", "?", "inconclusive"),
    "skipped": ("idle", "–", "skipped"),
    "pending": ("idle", "…", "not run"),
    "running": ("idle", "…", "running"),
    "interrupted": ("unsure", "!", "interrupted"),
}
COMPARED: dict[str, Looks] = {
    "pass": ("good", "✓", "pass"),
    "fail": ("bad", "✗", "fail"),
    "inconclusive": ("unsure", "?", "inconclusive"),
    "refused": ("idle", "–", "not compared"),
}
WORST_FIRST = ("error", "failed", "over_budget", "interrupted", "inconclusive")
"""What did not pass."""


def plain(value: JsonValue) -> str:
    """A configuration's value for a person."""
    if value is None:
        return NONE
    return str(value).lower() if isinstance(value, bool) else str(value)


def short(path: str) -> str:
    """The last part of a dotted path, with the one before it where that alone says little."""
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[-1] in ("id", "n", "source", "mode", "dtype") else parts[-1]
