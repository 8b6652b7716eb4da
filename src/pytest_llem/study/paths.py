"""Dotted paths: which exist in an experiment's configuration, whose they are, and how values are put at them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from pytest_llem.study.config import BACKEND_ALIASES, BUILT_IN_BACKENDS, ExperimentConfig
from pytest_llem.study.document import Json, merged
from pytest_llem.study.header import OTHER_KEYS, Header
from pytest_llem.study.problems import nearest

Path = tuple[str, ...]

SHORTHANDS: Mapping[Path, Path] = {("model",): ("model", "id"), ("dataset",): ("dataset", "source")}
"""``model: tiny`` means ``model: {id: tiny}``; a mapping is never a shorthand."""


_RESERVED = {*Header.model_fields, *OTHER_KEYS, *ExperimentConfig.model_fields}  # no backend can have these names


@dataclass(frozen=True)
class Node:
    """A field and its own fields; ``open`` when its keys are not known here, ``many`` when it takes lists."""

    fields: Mapping[str, Node]
    open: bool = False
    many: bool = False


@cache
def root() -> Node:
    """The fields that a study may set for an experiment."""
    fields = dict(_node(ExperimentConfig).fields)
    del fields["options"]  # written as a section with the third party's own name
    return Node(fields)


def third_party_backends() -> frozenset[str]:
    """Names registered by other packages; looked up only when a name is not one of ours."""
    return _registered(tuple(sys.path))


@lru_cache(maxsize=4)
def _registered(path: tuple[str, ...]) -> frozenset[str]:
    """``path`` is where packages are searched: what was put on it since is found."""
    names = {entry.name for entry in entry_points(group="pytest_llem.backends")}
    return frozenset(names - set(BUILT_IN_BACKENDS) - _RESERVED)


def known_backends() -> list[str]:
    return [*BUILT_IN_BACKENDS, *BACKEND_ALIASES, *sorted(third_party_backends())]


def is_backend(name: str) -> bool:
    return name in BUILT_IN_BACKENDS or (name not in _RESERVED and name in third_party_backends())


def split(text: str) -> Path:
    """``transformers.batch_size`` as ``("pytorch", "batch_size")``."""
    first, *rest = text.split(".")
    return (BACKEND_ALIASES.get(first, first), *rest)


def node_at(path: Path) -> Node | None:
    """The field at ``path``, or ``None`` when there is none. Below an open field everything exists."""
    node = root()
    for index, part in enumerate(path):
        if node.open:
            return Node({}, open=True)
        if part not in node.fields:
            is_section = index == 0 and part not in BUILT_IN_BACKENDS and part in third_party_backends()
            if not is_section:
                return None
            node = Node({}, open=True)
        else:
            node = node.fields[part]
    return node


def owner(path: Path) -> str | None:
    """The backend whose section the path lies in; ``None`` when it is for all."""
    return path[0] if path[0] not in root().fields or path[0] in BUILT_IN_BACKENDS else None


@cache
def all_paths() -> tuple[str, ...]:
    """Every path that ends in a field without fields of its own."""
    return tuple(".".join(path) for path in _leaves(root(), ()))


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


def flat(value: Mapping[str, Json], above: Path = ()) -> Iterator[tuple[Path, Path, Json]]:
    """The leaves of a nested mapping: (path in the configuration, path as written, value). Keys may be dotted."""
    for key, below in value.items():
        path = (*above, *(split(key) if not above else key.split(".")))
        node = node_at(path)
        if isinstance(below, dict) and below and node is not None and not node.open and node.fields:
            for inner, written, leaf in flat(below, path):
                yield inner, (key, *written), leaf
        else:
            yield SHORTHANDS.get(path, path) if not isinstance(below, dict) else path, (key,), below


def put(config: dict[str, Json], path: Path, value: Json) -> None:
    """Set ``value`` at ``path`` in a nested mapping whose mappings are shared: those on the way are copied."""
    for part in path[:-1]:
        below = config.get(part)
        config[part] = config = dict(below) if isinstance(below, dict) else {}
    old = config.get(path[-1])
    config[path[-1]] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value


def value_at(config: ExperimentConfig, path: Path) -> Json:
    """The value of a configuration at ``path``; ``None`` where a section on the way is absent."""
    if owner(path) not in (None, *BUILT_IN_BACKENDS):
        path = ("options", *path[1:]) if path[0] == config.backend else ()
    value: Any = config if path else None
    for part in path:
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _leaves(node: Node, above: Path) -> Iterator[Path]:
    for name, below in node.fields.items():
        if below.fields:
            yield from _leaves(below, (*above, name))
        else:
            yield (*above, name)


def _node(annotation: Any) -> Node:
    fields: dict[str, Node] = {}
    is_open = many = False
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            fields |= {name: _node(field.annotation) for name, field in option.model_fields.items()}
        elif option is dict or get_origin(option) is dict:
            is_open = True
        elif option is list or get_origin(option) is list:
            many = True
    return Node(fields, is_open and not fields, many)


def _options(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _options(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation
