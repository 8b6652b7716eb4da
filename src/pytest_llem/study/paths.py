"""Dotted paths: which an experiment's configuration has, whose they are, and what lies at them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from pytest_llem.study.config import BACKEND_ALIASES, BUILT_IN_BACKENDS, ExperimentConfig
from pytest_llem.study.document import Json, merged
from pytest_llem.study.header import Header
from pytest_llem.study.translate import Fields, fields
from pytest_llem.study.wording import nearest

Path = tuple[str, ...]

SHORTHANDS: Mapping[Path, Path] = {("model",): ("model", "id"), ("dataset",): ("dataset", "source")}
"""``model: tiny`` means ``model: {id: tiny}``; a mapping is never a shorthand."""

EXPERIMENT = tuple(name for name in ExperimentConfig.model_fields if name != "options")
"""An experiment's own keys, but for the sections of other packages' backends, which ``options`` holds."""

TOP_LEVEL = (*Header.model_fields, *EXPERIMENT)


def third_party_backends() -> frozenset[str]:
    """Names registered by other packages; looked up only when a name is not one of ours."""
    return _registered(tuple(sys.path))


@lru_cache(maxsize=4)
def _registered(path: tuple[str, ...]) -> frozenset[str]:
    """``path`` is where packages are searched: what was put on it since is found."""
    names = {entry.name for entry in entry_points(group="pytest_llem.backends")}
    return frozenset(names.difference(TOP_LEVEL, ["options"]))


def known_backends() -> list[str]:
    return [*BUILT_IN_BACKENDS, *BACKEND_ALIASES, *sorted(third_party_backends())]


def is_third_party(name: str) -> bool:
    return name not in TOP_LEVEL and name in third_party_backends()


def is_backend(name: str) -> bool:
    return name in BUILT_IN_BACKENDS or is_third_party(name)


def split(text: str) -> Path:
    """``transformers.batch_size`` as ``("pytorch", "batch_size")``."""
    first, *rest = text.split(".")
    return (BACKEND_ALIASES.get(first, first), *rest)


def find(path: Path) -> Fields | None:
    """What is at ``path``, or ``None`` when there is no such field. Below a mapping with any keys everything exists."""
    known = fields(ExperimentConfig)
    if path in known and path[0] != "options":
        return known[path]
    above = next((found for length in range(len(path), 0, -1) if (found := known.get(path[:length]))), None)
    is_open = (above is not None and above.open and path[0] != "options") or is_third_party(path[0])
    return Fields(many=False, inner=False, open=True) if is_open else None


def owner(path: Path) -> str | None:
    """The backend whose section the path lies in; ``None`` when it is for all."""
    return None if path[0] in TOP_LEVEL and path[0] not in BUILT_IN_BACKENDS else path[0]


def stored(path: Path) -> Path:
    """Where a configuration has it: a third party's section is called ``options`` there."""
    return path if path[0] in TOP_LEVEL else ("options", *path[1:])


@cache
def all_paths() -> tuple[str, ...]:
    """Every path that ends in a field without fields of its own."""
    known = fields(ExperimentConfig).items()
    return tuple(".".join(path) for path, found in known if not found.inner and path != ("options",))


def suggestion(text: str) -> str | None:
    """The path that was probably meant: the same field elsewhere, else the nearest spelling."""
    above, _, last = ".".join(split(text)).rpartition(".")
    by_ending: dict[str, list[str]] = {}
    for path in all_paths():
        by_ending.setdefault(path.rpartition(".")[2], []).append(path)
    siblings = [path.rpartition(".")[2] for path in all_paths() if path.rpartition(".")[0] == above]
    near = last if last in by_ending else nearest(last, siblings) or nearest(last, by_ending)
    if near is None:
        found = nearest(text, all_paths(), cutoff=0.8)
    else:
        found = nearest(text, by_ending[near], cutoff=0.0)
    return f"did you mean {found}?" if found else None


def put(config: dict[str, Json], path: Path, value: Json) -> None:
    """Set ``value`` at ``path`` in a nested mapping whose mappings are shared: those on the way are copied."""
    for part in path[:-1]:
        below = config.get(part)
        config[part] = config = dict(below) if isinstance(below, dict) else {}
    old = config.get(path[-1])
    config[path[-1]] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value


def value_at(config: ExperimentConfig, path: Path) -> Json:
    """The value of a configuration at ``path``; ``None`` where a section on the way is absent."""
    if path[0] not in TOP_LEVEL and path[0] != config.backend:
        return None
    value: Any = config
    for part in stored(path):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
