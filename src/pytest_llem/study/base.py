"""A study with the files it is based on, merged, in the one spelling that the rest of the loader reads."""

from __future__ import annotations

from pathlib import Path

from pytest_llem.study.config import BACKEND_ALIASES
from pytest_llem.study.document import Document, Json, Key
from pytest_llem.study.paths import SHORTHANDS
from pytest_llem.study.problems import Problems
from pytest_llem.study.reading import parse, read_text, shown_path

NOT_INHERITED = frozenset({"name", "description", "base"})


def with_base(document: Document, folder: Path, problems: Problems) -> Document:
    """``document`` over the files that ``base`` names, from ``folder``; a mistake in one of them names that file."""
    return _without_empty(_merged(document, folder, (), problems))


def read_document(path: Path, text: str, problems: Problems) -> Document:
    """The study in ``text``, which was read from ``path``, with its base files."""
    return _without_empty(_merged(parse(text, shown_path(path)), path.parent, (path.resolve(),), problems))


def _merged(document: Document, folder: Path, chain: tuple[Path, ...], problems: Problems) -> Document:
    document = _one_spelling(document, problems)
    name = document.data.get("base")
    if name is None:
        return document
    if not isinstance(name, str):
        return document  # told with the other keys of a wrong type
    path = folder / name
    try:
        target = path.resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError):
        found = False
    if not found:
        problems.at(document, ("base",), f"there is no file {shown_path(path)}", "the path is relative to this file")
        return document
    if target in chain:
        way = " -> ".join(shown_path(step) for step in (*chain, target))
        problems.at(document, ("base",), f"the files are based on each other: {way}")
        return document
    base = parse(read_text(path), shown_path(path))
    return document.over(_merged(base, path.parent, (*chain, target), problems), without=NOT_INHERITED)


def _one_spelling(document: Document, problems: Problems) -> Document:
    """Aliases of backends resolved, and ``model: tiny`` written as ``model: {id: tiny}``."""
    data: dict[str, Json] = {}
    for name, value in document.data.items():
        key = BACKEND_ALIASES.get(name, name)
        if key in data:
            problems.at(document, (name,), f"{name} and {key} are the same section")
        else:
            data[key] = value
    places = dict(document.places)
    for alias in BACKEND_ALIASES.keys() & document.data.keys():
        places |= {_renamed(key): place for key, place in places.items() if key[0] == alias}
    for (section,), (_, field) in SHORTHANDS.items():
        if isinstance(data.get(section), str):
            data[section] = {field: data[section]}
    return Document(document.file, data, places)


_MAY_BE_EMPTY = frozenset({"pytorch", "vllm", "measure", "dataset", "execution", "runners", "budgets"})
_MAY_BE_EMPTY |= {"sweep", "experiments", "runner", "base", "name", "description"}


def _without_empty(document: Document) -> Document:
    """A key without a value is as good as absent; over a base it removes what the base says."""
    data = {key: value for key, value in document.data.items() if value is not None or key not in _MAY_BE_EMPTY}
    return Document(document.file, data, document.places)


def _renamed(key: Key) -> Key:
    return (BACKEND_ALIASES[str(key[0])], *key[1:])
