"""The points of a study: what its sweep multiplies to, for which backend, and its explicit experiments."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pytest_llem.study.config import BACKEND_ALIASES
from pytest_llem.study.document import Document, Json, Key, dotted
from pytest_llem.study.header import Header
from pytest_llem.study.paths import (
    SHORTHANDS,
    Path,
    find,
    is_backend,
    known_backends,
    owner,
    split,
    suggestion,
)
from pytest_llem.study.values import fits
from pytest_llem.study.wording import counted, did_you_mean, listed, shown

MOST_POINTS = 10_000
MOST_FACTORS = 100
EMPTY = ("the list is empty", "give at least one value, or leave the key out")

Assignment = tuple[Path, Json]
Choice = tuple[Assignment, ...]


@dataclass(frozen=True)
class Point:
    """One experiment as the study describes it: a backend, and what is set beside the study's own values."""

    backend: str
    assignments: Choice
    key: Key  # where in the study it comes from


@dataclass(frozen=True)
class Factor:
    """Alternatives of which each experiment takes one: an axis, a group, or just what an explicit experiment sets."""

    key: Key
    choices: tuple[Choice, ...]

    def paths(self) -> set[Path]:
        return {path for choice in self.choices for path, _ in choice}

    def owners(self) -> set[str]:
        return {name for path in self.paths() if (name := owner(path)) is not None}

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
class Grid:
    """Factors that multiply, for each of some backends; the first varies slowest."""

    key: Key
    backends: tuple[str, ...]
    factors: tuple[Factor, ...]

    def count(self) -> int:
        return sum(math.prod(len(factor.choices_for(name)) for factor in self.factors) for name in self.backends)

    def __iter__(self) -> Iterator[Point]:
        for name in self.backends:
            for picked in product(*(factor.choices_for(name) for factor in self.factors)):
                yield Point(name, tuple(assignment for choice in picked for assignment in choice), self.key)


def all_points(document: Document, header: Header) -> list[Point]:
    """Every point: the sweep's first, then the explicit ones; a study with neither is one point for each backend."""
    backends = _backends(document, ("backend",), document.data.get("backend", "pytorch"))
    factors = [_factor(document, name, values) for name, values in header.sweep.items()]
    sweep = Grid(
        ("sweep",) if header.sweep else (), backends, tuple(factor for factor in factors if factor is not None)
    )
    _check_overlaps(document, sweep.factors)
    explicit = [_explicit(document, index, entry, backends) for index, entry in enumerate(header.experiments)]
    grids = [*([sweep] if sweep.factors or not explicit else []), *explicit]
    _check_owners(document, sweep, {name for grid in grids for name in grid.backends})
    count = sum(grid.count() for grid in grids) * header.in_cycles().most_cycles * (len(header.variants) or 1)
    if len(factors) > MOST_FACTORS:
        document.wrong(("sweep",), f"the sweep has {len(factors)} keys; the limit is {MOST_FACTORS}")
    elif count > MOST_POINTS:
        key: Key = sweep.key or ("experiments",)
        document.wrong(key, f"the study makes {counted(count)} cells; the limit is {MOST_POINTS}", "split it")
    else:
        return [point for grid in grids for point in grid]
    return []


def _backends(document: Document, key: Key, value: Json) -> tuple[str, ...]:
    """One backend's name or a list of them, aliases resolved."""
    found: dict[str, None] = {}
    if value == []:
        document.wrong(key, "the list of backends is empty")
    for index, name in enumerate(value if isinstance(value, list) else [value]):
        at = (*key, index) if isinstance(value, list) else key
        canonical = BACKEND_ALIASES.get(name, name) if isinstance(name, str) else None
        if canonical is None:
            document.wrong(at, f"expected a backend's name, got {shown(name)}")
        elif not is_backend(canonical):
            document.wrong(at, f"unknown backend {shown(name)}", did_you_mean(canonical, known_backends()))
        elif canonical in found:
            document.wrong(at, f"the backend {canonical} is given twice")
        else:
            found[canonical] = None
    return tuple(found)


def _factor(document: Document, name: str, values: Json) -> Factor | None:
    """An axis where ``name`` is a field, else a group; ``None`` after a mistake."""
    key, path = ("sweep", name), split(name)
    is_field = find(path) is not None
    mappings = [isinstance(value, dict) for value in values] if isinstance(values, list) else []
    choices: list[Choice] = []
    if not isinstance(values, list):
        hint = f"write [{shown(values)}]"
        if isinstance(values, dict):
            hint = f"write the whole path, such as {name}.{next(iter(values), 'FIELD')}: [...]" if is_field else ""
        document.wrong(key, f"expected a list of values, got {shown(values)}", hint or None)
    elif not values:
        document.wrong(key, *EMPTY)
    elif path == ("backend",):
        hint = "write backend: [pytorch, vllm] at top level"
        document.wrong(key, "the backends are no axis of the sweep", hint)
    elif is_field and all(mappings):
        hint = f"name the group freely and write {name} inside its entries"
        document.wrong(key, "a group cannot have the name of a field", hint)
    elif any(mappings) and not all(mappings):
        document.wrong(key, "the list mixes values and mappings", "an axis has values only, a group mappings only")
    elif is_field:
        axis = _alternatives(document, key, SHORTHANDS.get(path, path), values, multiply=True)
        choices = [(assignment,) for assignment in axis]
    elif not any(mappings):
        _unknown(document, key, name)
    else:
        choices = _group(document, key, values)
    return Factor(key, tuple(choices)) if choices else None


def _group(document: Document, key: Key, entries: Sequence[Json]) -> list[Choice]:
    """The alternatives of a group's entries; the lists in an entry multiply, but for one that is a field's value."""
    choices: list[Choice] = []
    for index, entry in enumerate(entries):
        assert isinstance(entry, dict)
        lists = []
        for at, path, value in _leaves(document, (*key, index), entry):
            field = find(path)
            nested = isinstance(value, list) and any(isinstance(one, list) for one in value)
            is_value = field is not None and field.many and not nested
            lists.append(_alternatives(document, at, path, value, multiply=not is_value))
        count = math.prod(len(good) for good in lists if good)
        if count > MOST_POINTS:
            limit = f"the limit is {MOST_POINTS}"
            document.wrong((*key, index), f"the lists of this entry make {counted(count)} alternatives; {limit}")
        elif count + len(choices) > MOST_POINTS:
            document.wrong(key, f"the group has more than {MOST_POINTS} alternatives")
            return []
        else:
            choices += product(*filter(None, lists))
    return choices


def _explicit(document: Document, index: int, entry: Json, default: tuple[str, ...]) -> Grid:
    """An entry of ``experiments``. Without a backend it runs on those of the study's whose sections it has, or all."""
    key: Key = ("experiments", index)
    if not isinstance(entry, dict):
        document.wrong(key, f"expected a mapping, got {shown(entry)}")
        return Grid(key, (), ())
    named = _backends(document, (*key, "backend"), entry["backend"]) if "backend" in entry else ()
    rest = {name: value for name, value in entry.items() if name != "backend"}
    leaves = [_alternatives(document, *leaf) for leaf in _leaves(document, key, rest)]
    factor = Factor(key, (tuple(assignment for leaf in leaves for assignment in leaf),))
    owners = factor.owners()
    if foreign := owners.difference(named or default):
        document.wrong(key, f"this experiment does not use the backend {_names(foreign)}", _uses(named or default))
    return Grid(key, named or tuple(name for name in default if name in owners or not owners), (factor,))


def _leaves(document: Document, key: Key, entry: Mapping[str, Json]) -> Iterator[tuple[Key, Path, Json]]:
    """(key in the document, path in the configuration, value) of each leaf whose path exists, each once."""
    seen: set[Path] = set()
    for path, written, value in _flat(entry):
        at = (*key, *written)
        if path == ("backend",):
            hint = "write a list in backend, or use experiments"
            document.wrong(at, "a group cannot choose the backend", hint)
        elif find(path) is None:
            _unknown(document, at, ".".join(path))
        elif path in seen:
            document.wrong(at, f"{'.'.join(path)} is given twice in this entry")
        else:
            seen.add(path)
            yield at, path, value


def _flat(value: Mapping[str, Json], above: Path = ()) -> Iterator[tuple[Path, Path, Json]]:
    """The leaves of a nested mapping: (path in the configuration, path as written, value). Keys may be dotted."""
    for key, below in value.items():
        path = (*above, *(key.split(".") if above else split(key)))
        field = find(path)
        if isinstance(below, dict) and below and field is not None and field.inner:
            for inner, written, leaf in _flat(below, path):
                yield inner, (key, *written), leaf
        else:
            yield path if isinstance(below, dict) else SHORTHANDS.get(path, path), (key,), below


def _alternatives(document: Document, key: Key, path: Path, value: Json, *, multiply: bool = False) -> list[Assignment]:
    """What can stand at ``path``: ``value``, or each value of a list that multiplies; mistakes are told."""
    if not multiply or not isinstance(value, list):
        return [(path, value)] if fits(document, key, path, value) else []
    if not value:
        document.wrong(key, *EMPTY)
    return [(path, one) for index, one in enumerate(value) if fits(document, (*key, index), path, one)]


def _check_overlaps(document: Document, factors: Sequence[Factor]) -> None:
    """Two factors must not set the same path, nor one a part of what the other sets."""
    setter: dict[Path, Factor] = {}
    setter_below: dict[Path, Factor] = {}
    for factor in factors:
        paths = sorted(factor.paths())
        for path in paths:
            above = (setter.get(path[:length]) for length in range(1, len(path) + 1))
            other = next(filter(None, above), setter_below.get(path))
            if other is not None:
                line = document.place(other.key).line
                where = f" on line {line}" if line else ""
                document.wrong(factor.key, f"{'.'.join(path)} is swept twice; see {dotted(other.key)}{where}")
                break
        for path in paths:
            setter.setdefault(path, factor)
            for length in range(1, len(path)):
                setter_below.setdefault(path[:length], factor)


def _check_owners(document: Document, sweep: Grid, used: set[str]) -> None:
    """What is for a backend that nothing uses is a mistake, unless a shared base file brought it."""
    for factor in sweep.factors:
        foreign = factor.owners().difference(sweep.backends)
        if foreign and document.place(factor.key).file == document.file:
            text = f"no point of this sweep uses the backend {_names(foreign)}"
            document.wrong(factor.key, text, _uses(sweep.backends))
    for name in document.data:
        if is_backend(name) and name not in used and document.place((name,)).file == document.file:
            document.wrong((name,), f"no experiment of this study uses the backend {name}", _uses(used))


def _names(backends: Iterable[str]) -> str:
    return listed(sorted(backends), "and")


def _uses(backends: Collection[str]) -> str | None:
    return f"it uses {_names(backends)}" if backends else None


def _unknown(document: Document, key: Key, path: str) -> None:
    document.wrong(key, "no such field", None if document.problems.full else suggestion(path))
