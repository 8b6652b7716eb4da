"""Checking single values of a configuration, wherever in the study they stand."""

from __future__ import annotations

from functools import lru_cache

from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.document import Document, Json, Key
from pytest_llem.study.paths import EXPERIMENT, Path, is_third_party, put
from pytest_llem.study.translate import Mistake, single_mistakes


def own_values(document: Document) -> dict[str, Json]:
    """What the study says for all its experiments, each value checked by itself, without those that are wrong."""
    ours = {key: value for key, value in document.data.items() if key in EXPERIMENT and key != "backend"}
    for mistake in single_mistakes(ExperimentConfig, ours):
        document.wrong(mistake.key, mistake.message, mistake.hint)
        _remove(ours, mistake.key)
    return ours | {key: value for key, value in document.data.items() if is_third_party(key)}


def _remove(data: dict[str, Json], key: Key) -> None:
    """Take out what ``key`` names, copying the mappings on the way; a list is taken out as a whole."""
    *above, last = key[: next((index for index, part in enumerate(key) if isinstance(part, int)), len(key))]
    for part in above:
        below = data.get(str(part))
        data[str(part)] = data = dict(below) if isinstance(below, dict) else {}
    data.pop(str(last), None)


def fits(document: Document, key: Key, path: Path, value: Json) -> bool:
    """Whether ``value`` can stand at ``path`` at all; if not, the mistake is told, at ``key`` of the document."""
    if document.problems.full:
        return False  # a hostile file must not cost a check for each of its mistakes
    if is_third_party(path[0]):
        return True  # it is judged by its own backend
    found = _mistakes(path, value) if isinstance(value, dict | list) else _mistakes_of_scalar(path, value)
    for mistake in found:
        document.wrong((*key, *mistake.key[len(path) :]), mistake.message, mistake.hint)
    return not found


def _mistakes(path: Path, value: Json) -> list[Mistake]:
    raw: dict[str, Json] = {}
    put(raw, path, value)
    return single_mistakes(ExperimentConfig, raw)


_mistakes_of_scalar = lru_cache(maxsize=4096, typed=True)(_mistakes)  # typed: Python holds 1, 1.0 and true equal
