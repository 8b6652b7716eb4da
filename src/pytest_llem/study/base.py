"""A study with the files it is based on, merged, in the one spelling that the rest of the loader reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_llem.study.config import BACKEND_ALIASES
from pytest_llem.study.document import Document, merged
from pytest_llem.study.paths import SHORTHANDS
from pytest_llem.study.reading import parse, read_text, shown_path

_NOT_INHERITED = {"name", "description", "base"}


def with_base(document: Document, folder: Path, chain: tuple[Path, ...] = ()) -> Document:
    """``document`` over the files that ``base`` names, from ``folder``; a mistake in one of them names that file.

    ``chain`` holds the files that are based on this one, the first first, with this one.
    """
    document = _one_spelling(document)
    name = document.data.get("base")
    if not isinstance(name, str):
        return document  # told with the other keys of a wrong type
    path = folder / name
    try:
        target = path.resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError):
        found = False
    if not found:
        document.wrong(("base",), f"there is no file {shown_path(path)}", "the path is relative to this file")
        return document
    if target in chain:
        way = " -> ".join(shown_path(step) for step in (*chain, target))
        document.wrong(("base",), f"the files are based on each other: {way}")
        return document
    base = replace(parse(read_text(path), shown_path(path)), problems=document.problems)
    base = with_base(base, path.parent, (*chain, target))
    kept = {key: value for key, value in base.data.items() if key not in _NOT_INHERITED}
    places = {key: place for key, place in base.places.items() if key[0] not in _NOT_INHERITED}
    return replace(document, data=merged(kept, document.data), places=places | document.places)


def _one_spelling(document: Document) -> Document:
    """Aliases of backends resolved, and ``model: tiny`` written as ``model: {id: tiny}``."""
    data, places = dict(document.data), dict(document.places)
    for alias, name in BACKEND_ALIASES.items():
        if alias not in data:
            continue
        section = data.pop(alias)
        if name in data:
            document.wrong((alias,), f"{alias} and {name} are the same section")
        else:
            data[name] = section
            places |= {(name, *key[1:]): place for key, place in places.items() if key[0] == alias}
    for (section,), (_, field) in SHORTHANDS.items():
        if isinstance(data.get(section), str):
            data[section] = {field: data[section]}
    return replace(document, data=data, places=places)
