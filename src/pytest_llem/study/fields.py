"""Checking single values of a configuration, wherever in the study they stand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from pytest_llem.study.config import BUILT_IN_BACKENDS, ExperimentConfig
from pytest_llem.study.document import Document, Json, Key
from pytest_llem.study.paths import Path, is_backend, owner, put
from pytest_llem.study.problems import Problems
from pytest_llem.study.translate import details, is_combination, sentences


def for_backend(data: dict[str, Json], backend: str) -> dict[str, Json]:
    """The raw configuration for one backend: what is for all, and its own section."""
    raw = {key: value for key, value in data.items() if owner((key,)) is None}
    raw["backend"] = backend
    if backend in data:
        raw[backend if backend in BUILT_IN_BACKENDS else "options"] = data[backend]
    return raw


def check_value(document: Document, key: Key, path: Path, value: Json, problems: Problems) -> bool:
    """Whether ``value`` can stand at ``path`` at all; if not, the mistake is added, at ``key`` of the document."""
    if problems.full:
        return False  # a hostile file must not cost a check for each of its mistakes
    if owner(path) not in (None, *BUILT_IN_BACKENDS):
        return True  # a third party's section is judged by its own backend
    found = _wrong(path, value) if isinstance(value, dict | list) else _wrong_scalar(path, type(value).__name__, value)
    for inner, message, hint in found:
        problems.at(document, (*key, *inner[len(path) :]), message, hint)
    return not found


def check_base(document: Document, problems: Problems) -> dict[str, Json]:
    """Check the study's own values, each by itself; returns them without those that are wrong."""
    known = {*ExperimentConfig.model_fields} - {"options", "backend"}
    data = {key: value for key, value in document.data.items() if key in known or is_backend(key)}
    ours = {key: value for key, value in data.items() if key in known}
    for inner, message, hint in _mistakes(ours):
        problems.at(document, inner, message, hint)
        _remove(data, inner)
    return data


@lru_cache(maxsize=4096)
def _wrong_scalar(path: Path, kind: str, value: Any) -> tuple[tuple[Key, str, str | None], ...]:
    """``kind`` keeps apart what Python holds equal: 1, 1.0 and true."""
    return _wrong(path, value)


def _wrong(path: Path, value: Json) -> tuple[tuple[Key, str, str | None], ...]:
    raw: dict[str, Json] = {}
    put(raw, path, value)
    return _mistakes(raw)


def _mistakes(raw: dict[str, Json]) -> tuple[tuple[Key, str, str | None], ...]:
    """What is wrong with single values: what is missing, or does not fit together, may come right with other values."""
    try:
        ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        single = [one for one in details(error) if one["type"] != "missing" and not is_combination(one)]
        return tuple(sentences(single, raw, ExperimentConfig))
    return ()


def _remove(data: dict[str, Json], key: Key) -> None:
    """Take out what ``key`` names, copying the mappings on the way; a list is taken out as a whole."""
    *above, last = key[: next((index for index, part in enumerate(key) if isinstance(part, int)), len(key))]
    for part in above:
        below = data.get(str(part))
        data[str(part)] = data = dict(below) if isinstance(below, dict) else {}
    data.pop(str(last), None)
