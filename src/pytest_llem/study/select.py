"""Which experiments each budget applies to."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llem.study.budget import Budget
from pytest_llem.study.document import Document, Json, Key
from pytest_llem.study.expand import Experiment
from pytest_llem.study.paths import SHORTHANDS, Path, node_at, split, suggestion, value_at
from pytest_llem.study.problems import Problems, listed, nearest, shown

Selection = list[tuple[Budget, ...]]


def select(
    budgets: Sequence[tuple[Budget, Key]], experiments: Sequence[Experiment], document: Document, problems: Problems
) -> Selection:
    """The budgets of each experiment, in order. A condition that no experiment meets is a mistake."""
    chosen: list[list[Budget]] = [[] for _ in experiments]
    values: dict[Path, list[Json]] = {}
    for budget, key in budgets:
        indices = set(range(len(experiments)))
        for name, wanted in budget.when.items():
            path = SHORTHANDS.get(split(name), split(name))
            if path not in values:
                values[path] = [value_at(one.given, path) for one in experiments]
            matching = {index for index, value in enumerate(values[path]) if _meets(value, wanted)}
            if not matching and experiments:
                problems.at(document, (*key, "when", name), *_no_match(wanted, values[path]))
            indices &= matching
        if not indices and experiments:
            problems.at(document, (*key, "when"), "no experiment meets all of these conditions together")
        for index in sorted(indices):
            chosen[index].append(budget)
    return [tuple(own) for own in chosen]


def check_paths(budgets: Sequence[tuple[Budget, Key]], document: Document, problems: Problems) -> bool:
    """Whether every condition names a field that exists."""
    good = True
    for budget, key in budgets:
        for name in budget.when:
            if node_at(split(name)) is None:
                problems.at(document, (*key, "when", name), "no such field", suggestion(name))
                good = False
    return good


def _meets(value: Json, wanted: Json) -> bool:
    """A list means any of its values. Python holds 1 and true equal; a study does not."""
    if isinstance(wanted, list):
        return any(_meets(value, one) for one in wanted)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _no_match(wanted: Json, values: Sequence[Json]) -> tuple[str, str]:
    there = list(dict.fromkeys(shown(value) for value in values))
    near = nearest(shown(wanted), there) if isinstance(wanted, str) else None
    hint = f"did you mean {near}?" if near else f"the study has {listed(there[:8], 'and')}"
    return f"no experiment has {shown(wanted)}", hint
