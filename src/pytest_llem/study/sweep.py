"""Reading ``sweep`` and ``experiments``: what multiplies with what, for which backend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pytest_llem.study.config import BACKEND_ALIASES
from pytest_llem.study.document import Document, Json, Key, dotted
from pytest_llem.study.fields import check_value
from pytest_llem.study.paths import Path, flat, is_backend, known_backends, node_at, owner, split, suggestion
from pytest_llem.study.problems import Problems, counted, did_you_mean, shown

MOST_POINTS = 10_000

Assignment = tuple[Path, Json]
Choice = tuple[Assignment, ...]


@dataclass(frozen=True)
class Factor:
    """Alternatives of which each experiment takes one: an axis, or a group."""

    key: Key
    choices: tuple[Choice, ...]

    def paths(self) -> set[Path]:
        return {path for choice in self.choices for path, _ in choice}

    def owners(self) -> set[str | None]:
        return {owner(path) for path in self.paths()}

    def choices_for(self, backend: str) -> tuple[Choice, ...]:
        """The alternatives that concern ``backend``; at least one.

        Without what belongs to another backend several may be alike, which is no mistake of the study: they are one.
        """
        found: list[Choice] = []
        shortened: set[str] = set()
        for choice in self.choices:
            own = tuple((path, value) for path, value in choice if owner(path) in (None, backend))
            if own == choice:
                found.append(choice)
            elif own and repr(own) not in shortened:
                shortened.add(repr(own))
                found.append(own)
        return tuple(found) or ((),)


@dataclass(frozen=True)
class Point:
    """One experiment as the study describes it: a backend, and what is set beside the study's own values."""

    backend: str
    assignments: Choice
    key: Key  # where in the study it comes from


@dataclass(frozen=True)
class Explicit:
    """An entry of ``experiments``; ``backends`` is empty where the entry names none."""

    key: Key
    backends: tuple[str, ...]
    assignments: Choice

    def assignments_for(self, backend: str) -> Choice:
        """What is set for ``backend``, without what belongs to another."""
        return tuple((path, value) for path, value in self.assignments if owner(path) in (None, backend))

    def owners(self) -> set[str]:
        return {own for path, _ in self.assignments if (own := owner(path)) is not None}


def read_sweep(document: Document, problems: Problems) -> list[Factor]:
    """The factors of ``sweep``, in the order written; mistakes go to ``problems``."""
    sweep = document.data.get("sweep")
    if sweep is None:
        return []
    if not isinstance(sweep, dict):
        problems.at(document, ("sweep",), f"expected a mapping of paths to lists, got {shown(sweep)}")
        return []
    factors = [factor for name in sweep if (factor := _factor(document, name, sweep[name], problems)) is not None]
    _check_overlaps(document, factors, problems)
    return factors


def read_experiments(document: Document, problems: Problems) -> list[Explicit]:
    """The entries of ``experiments``; mistakes go to ``problems``."""
    entries = document.data.get("experiments")
    if entries is None:
        return []
    if not isinstance(entries, list):
        problems.at(document, ("experiments",), f"expected a list of mappings, got {shown(entries)}")
        return []
    return [_explicit(document, ("experiments", index), entry, problems) for index, entry in enumerate(entries)]


def read_backends(document: Document, key: Key, value: Json, problems: Problems) -> tuple[str, ...]:
    """One backend's name or a list of them, aliases resolved."""
    names = value if isinstance(value, list) else [value]
    found: dict[str, None] = {}
    if not names:
        problems.at(document, key, "the list of backends is empty")
    for index, name in enumerate(names):
        at = (*key, index) if isinstance(value, list) else key
        canonical = BACKEND_ALIASES.get(name, name) if isinstance(name, str) else None
        if canonical is None:
            problems.at(document, at, f"expected a backend's name, got {shown(name)}")
        elif not is_backend(canonical):
            problems.at(document, at, f"unknown backend {shown(name)}", did_you_mean(canonical, known_backends()))
        elif canonical in found:
            problems.at(document, at, f"the backend {canonical} is given twice")
        else:
            found[canonical] = None
    return tuple(found)


def count_points(factors: Sequence[Factor], backends: Sequence[str]) -> int:
    """How many points ``grid`` makes."""
    return sum(math.prod(len(factor.choices_for(backend)) for factor in factors) for backend in backends)


def grid(factors: Sequence[Factor], backend: str) -> Iterator[Point]:
    """Every combination for one backend; the first factor varies slowest."""
    key: Key = ("sweep",) if factors else ()
    for picked in product(*(factor.choices_for(backend) for factor in factors)):
        yield Point(backend, tuple(assignment for choice in picked for assignment in choice), key)


def _factor(document: Document, name: str, values: Json, problems: Problems) -> Factor | None:
    key: Key = ("sweep", name)
    path = split(name)
    exists = node_at(path) is not None
    if not isinstance(values, list):
        hint = None
        if isinstance(values, dict) and exists:
            hint = f"write the whole path, such as {name}.{next(iter(values), 'FIELD')}: [...]"
        elif not isinstance(values, dict):
            hint = f"write [{shown(values)}]"
        problems.at(document, key, f"expected a list of values, got {shown(values)}", hint)
    elif not values:
        problems.at(document, key, "the list is empty", "give at least one value, or leave the key out")
    elif all(isinstance(value, dict) for value in values):
        return _group(document, key, name, exists, values, problems)
    elif any(isinstance(value, dict) for value in values):
        problems.at(
            document, key, "the list mixes values and mappings", "an axis has values only, a group mappings only"
        )
    elif not exists:
        _unknown_path(document, key, name, problems)
    else:
        return _axis(document, key, path, values, problems)
    return None


def _axis(document: Document, key: Key, path: Path, values: Sequence[Json], problems: Problems) -> Factor | None:
    if path == ("backend",):
        problems.at(
            document, key, "the backends are no axis of the sweep", "write backend: [pytorch, vllm] at top level"
        )
        return None
    choices = []
    for index, value in enumerate(values):
        at = (*key, index)
        if isinstance(value, list) and not _may_be_list(path):
            problems.at(document, at, "a value of an axis cannot be a list")
            continue
        assignment = next(iter(flat({".".join(path): value})))
        if check_value(document, at, assignment[0], value, problems):
            choices.append(((assignment[0], value),))
    return Factor(key, tuple(choices)) if choices else None


def _group(
    document: Document, key: Key, name: str, exists: bool, entries: Sequence[Json], problems: Problems
) -> Factor | None:
    if exists:
        hint = f"name the group freely and write {name} inside its entries"
        problems.at(document, key, "a group cannot have the name of a field", hint)
        return None
    choices: list[Choice] = []
    for index, entry in enumerate(entries):
        assert isinstance(entry, dict)
        choices += _entry_grid(document, (*key, index), entry, problems)
        if len(choices) > MOST_POINTS:
            problems.at(document, key, f"the group has more than {MOST_POINTS} alternatives")
            return None
    return Factor(key, tuple(choices)) if choices else None


def _entry_grid(document: Document, key: Key, entry: Mapping[str, Json], problems: Problems) -> Iterator[Choice]:
    """The alternatives in one entry of a group: its lists multiply."""
    lists: list[list[Assignment]] = []
    for at, path, value in _leaves(document, key, entry, problems):
        several = isinstance(value, list) and (any(isinstance(one, list) for one in value) or not _is_list(path))
        if several and not value:
            problems.at(document, at, "the list is empty", "give at least one value, or leave the key out")
        values = value if several and isinstance(value, list) else [value]
        good = [
            (path, one)
            for index, one in enumerate(values)
            if check_value(document, (*at, index) if several else at, path, one, problems)
        ]
        if good:
            lists.append(good)
    if (count := math.prod(map(len, lists))) > MOST_POINTS:
        problems.at(
            document, key, f"the lists of this entry make {counted(count)} alternatives; the limit is {MOST_POINTS}"
        )
    else:
        yield from product(*lists)


def _explicit(document: Document, key: Key, entry: Json, problems: Problems) -> Explicit:
    if not isinstance(entry, dict):
        problems.at(document, key, f"expected a mapping, got {shown(entry)}")
        return Explicit(key, (), ())
    rest = {name: value for name, value in entry.items() if name != "backend"}
    backends: tuple[str, ...] = ()
    if "backend" in entry:
        backends = read_backends(document, (*key, "backend"), entry["backend"], problems)
    leaves = _leaves(document, key, rest, problems)
    good = [(path, value) for at, path, value in leaves if check_value(document, at, path, value, problems)]
    return Explicit(key, backends, tuple(good))


def _leaves(
    document: Document, key: Key, entry: Mapping[str, Json], problems: Problems
) -> Iterator[tuple[Key, Path, Json]]:
    """(key in the document, path in the configuration, value) of each leaf whose path exists, each once."""
    seen: dict[Path, None] = {}
    for path, written, value in flat(entry):
        at = (*key, *written)
        if path == ("backend",):
            problems.at(
                document, at, "a group cannot choose the backend", "write a list in backend, or use experiments"
            )
        elif node_at(path) is None:
            _unknown_path(document, at, ".".join(path), problems)
        elif path in seen:
            problems.at(document, at, f"{'.'.join(path)} is given twice in this entry")
        else:
            seen[path] = None
            yield at, path, value


def _check_overlaps(document: Document, factors: Sequence[Factor], problems: Problems) -> None:
    """Two factors must not set the same path, nor one a part of what the other sets."""
    setter: dict[Path, Factor] = {}
    setter_below: dict[Path, Factor] = {}
    for factor in factors:
        paths = sorted(factor.paths())
        for path in paths:
            prefixes = [path[:length] for length in range(1, len(path) + 1)]
            others = [*(setter.get(prefix) for prefix in prefixes), setter_below.get(path)]
            other = next((found for found in others if found is not None), None)
            if other is not None:
                line = document.place(other.key).line
                where = f" on line {line}" if line else ""
                problems.at(document, factor.key, f"{'.'.join(path)} is swept twice; see {dotted(other.key)}{where}")
                break
        for path in paths:
            setter.setdefault(path, factor)
            for length in range(1, len(path)):
                setter_below.setdefault(path[:length], factor)


def _unknown_path(document: Document, key: Key, path: str, problems: Problems) -> None:
    problems.at(document, key, "no such field", None if problems.full else suggestion(path))


def _is_list(path: Path) -> bool:
    """Whether the field is known to hold a list, so that one list is one value."""
    node = node_at(path)
    return node is not None and node.many


def _may_be_list(path: Path) -> bool:
    node = node_at(path)
    return node is not None and (node.many or node.open)
