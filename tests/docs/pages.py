"""Reading the documentation's Markdown: fenced blocks, and the table below a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def fenced(path: Path, language: str) -> Iterator[tuple[int, str]]:
    """(line number of the fence, text) of each block in ``language``, without the indentation of a list around it."""
    text = path.read_text()
    for match in _FENCE.finditer(text):
        if match[2] == language:
            lines = match[3].splitlines(keepends=True)
            yield text.count("\n", 0, match.start()) + 1, "".join(line.removeprefix(match[1]) for line in lines)


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below the heading (``## The heading``), without its head; cells as written."""
    lines = path.read_text().splitlines()
    start = lines.index(heading) + 1
    rows: list[list[str]] = []
    for line in lines[start:]:
        if line.startswith("#") or (rows and not line.startswith("|")):
            break
        if line.startswith("|"):
            rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    assert len(rows) > 2, f"{path.name}: no table below {heading!r}"
    return rows[2:]


def codes(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
