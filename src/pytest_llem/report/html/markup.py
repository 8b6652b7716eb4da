"""Text into HTML: escaping, badges, links. Whatever comes from a file goes through here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from pydantic import JsonValue

from pytest_llem.report.html.data import CellRow, Files

OUTCOMES = {
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
"""(style, sign, words) of each outcome of a cell: never told by colour alone."""


def text(value: object) -> str:
    """Escaped, for contents and for attributes in double quotes."""
    return html.escape(str(value), quote=True)


def plural(count: int, word: str) -> str:
    """``1 cell``, ``1,234 cells``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def plain(value: JsonValue) -> str:
    """A configuration's value for a person."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


def short(path: str) -> str:
    """The last part of a dotted path, with the one before it where that alone says little."""
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[-1] in ("id", "n", "source", "mode", "dtype") else parts[-1]


def badge(outcome: str) -> str:
    return mark(*OUTCOMES[outcome])


def mark(style: str, sign: str, words: str) -> str:
    """A verdict in colour, sign and word."""
    return f'<span class="badge {style}"><span aria-hidden="true">{sign}</span> {words}</span>'


def flags(cell: CellRow) -> str:
    """ESTIMATED and INVALID, with the reasons."""
    found = []
    if cell.estimated:
        found.append('<span class="badge flag">ESTIMATED</span>')
    if cell.invalid and cell.result is not None:
        why = text(", ".join(cell.result.validity.reasons))
        found.append(f'<span class="badge flag" title="{why}">INVALID</span>')
    return " ".join(found)


def link(path: str, label: str, base: str) -> str:
    """A link to a file of the run; ``base`` is the run's folder as the page sees it."""
    return f'<a href="{text(quote(f"{base}/{path}"))}">{text(label)}</a>'


def links(files: Files, base: str) -> str:
    """Links to several files, by name."""
    return " · ".join(link(path, name, base) for name, path in files)


def small_table(head: Iterable[str], lines: Sequence[Sequence[str]]) -> str:
    """A table out of contents that are HTML already; the first of each line is its heading. Empty without lines."""
    if not lines:
        return ""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = [
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in lines
    ]
    return (
        f'<div class="scroll"><table class="small"><thead><tr>{titles}</tr></thead>\n'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
