"""Which points a study has: the grid of each backend, and the explicit experiments."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llem.study.config import BUILT_IN_BACKENDS
from pytest_llem.study.document import Document
from pytest_llem.study.paths import is_backend
from pytest_llem.study.problems import Problems, counted, listed
from pytest_llem.study.sweep import (
    MOST_POINTS,
    Explicit,
    Factor,
    Point,
    count_points,
    grid,
    read_backends,
    read_experiments,
    read_sweep,
)

MOST_FACTORS = 100


def all_points(document: Document, cycles: int, problems: Problems) -> list[Point]:
    """Every point: the grid's first, then the explicit ones; a study with neither is one point for each backend."""
    default = read_backends(document, ("backend",), document.data.get("backend", "pytorch"), problems)
    factors = read_sweep(document, problems)
    explicit = read_experiments(document, problems)
    gridded = default if factors or not explicit else ()
    own = [
        Point(name, entry.assignments_for(name), entry.key)
        for entry in explicit
        for name in _backends_of(entry, default)
    ]
    _check_sections(document, {*gridded, *(point.backend for point in own)}, problems)
    _check_owners(document, factors, explicit, default, problems)
    if not _few_enough(document, factors, gridded, len(own), cycles, problems):
        return []
    return [*(point for backend in gridded for point in grid(factors, backend)), *own]


def _backends_of(entry: Explicit, default: Sequence[str]) -> tuple[str, ...]:
    """The backends that the entry names; else those of the study's whose sections it has, or all."""
    owners = entry.owners()
    return entry.backends or tuple(name for name in default if name in owners or not owners)


def _check_sections(document: Document, used: set[str], problems: Problems) -> None:
    """A section of a backend that nothing uses is a mistake, unless a shared base file brought it."""
    for name in document.data:
        unused = name not in used and (name in BUILT_IN_BACKENDS or is_backend(name))
        if unused and document.place((name,)).file == document.file:
            problems.at(document, (name,), f"no experiment of this study uses the backend {name}", _uses(used))


def _check_owners(
    document: Document,
    factors: Sequence[Factor],
    explicit: Sequence[Explicit],
    default: Sequence[str],
    problems: Problems,
) -> None:
    for factor in factors:
        foreign = {name for name in factor.owners() if name is not None and name not in default}
        if foreign and document.place(factor.key).file == document.file:
            names = listed(sorted(foreign), "and")
            problems.at(document, factor.key, f"no point of this sweep uses the backend {names}", _uses(set(default)))
    for entry in explicit:
        foreign = entry.owners() - set(entry.backends or default)
        if foreign:
            names = listed(sorted(foreign), "and")
            backends = set(entry.backends or default)
            problems.at(document, entry.key, f"this experiment does not use the backend {names}", _uses(backends))


def _uses(backends: set[str]) -> str | None:
    return f"it uses {listed(sorted(backends), 'and')}" if backends else None


def _few_enough(
    document: Document, factors: Sequence[Factor], backends: Sequence[str], more: int, cycles: int, problems: Problems
) -> bool:
    if len(factors) > MOST_FACTORS:
        problems.at(document, ("sweep",), f"the sweep has {len(factors)} keys; the limit is {MOST_FACTORS}")
        return False
    count = (count_points(factors, backends) + more) * cycles
    if count > MOST_POINTS:
        key = ("sweep",) if factors else ("experiments",)
        problems.at(document, key, f"the study makes {counted(count)} cells; the limit is {MOST_POINTS}", "split it")
        return False
    return True
