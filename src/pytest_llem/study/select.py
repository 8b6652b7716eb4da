"""Which experiments each budget of a study applies to."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llem.study.budget import Budget
from pytest_llem.study.document import Document, Json
from pytest_llem.study.expand import Experiment
from pytest_llem.study.paths import SHORTHANDS, Path, find, split, suggestion, value_at
from pytest_llem.study.wording import listed, nearest, shown


def check_conditions(document: Document) -> None:
    """Tell each condition of a budget on what no experiment has."""
    budgets = document.data.get("budgets")
    for index, entry in enumerate(budgets if isinstance(budgets, list) else []):
        conditions = entry.get("when") if isinstance(entry, dict) else None
        for name in conditions if isinstance(conditions, dict) else ():
            if find(split(name)) is None:
                hint = None if document.problems.full else suggestion(name)
                document.wrong(("budgets", index, "when", name), "no such field", hint)


def select(
    budgets: Sequence[Budget], experiments: Sequence[Experiment], document: Document
) -> list[tuple[Budget, ...]]:
    """The budgets of each experiment, in order. A condition that no experiment meets is a mistake."""
    chosen: list[list[Budget]] = [[] for _ in experiments]
    values: dict[Path, list[Json]] = {}
    for number, budget in enumerate(budgets):
        together = set(range(len(experiments)))
        met = True
        for name, wanted in budget.when.items():
            path = SHORTHANDS.get(split(name), split(name))
            if path not in values:
                values[path] = [_value(one, path) for one in experiments]
            matches = {index for index, value in enumerate(values[path]) if _meets(value, wanted)}
            if not matches:
                met = False
                document.wrong(("budgets", number, "when", name), *_no_match(wanted, values[path]))
            together &= matches
        if met and not together:
            document.wrong(("budgets", number, "when"), "no experiment meets all of these conditions together")
        for index in together:
            chosen[index].append(budget)
    return [tuple(own) for own in chosen]


def _value(one: Experiment, path: Path) -> Json:
    """As written; where nothing was written, as it runs."""
    given = value_at(one.given, path)
    return value_at(one.config, path) if given is None else given


def _meets(value: Json, wanted: Json) -> bool:
    """A list means any of its values. Python holds 1 and true equal; a study does not."""
    if isinstance(wanted, list):
        return any(_meets(value, one) for one in wanted)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _no_match(wanted: Json, values: Sequence[Json]) -> tuple[str, str]:
    there = list(dict.fromkeys(shown(value) for value in values))
    near = nearest(shown(wanted), there) if isinstance(wanted, str) else None
    more = " and others" if len(there) > 8 else ""
    hint = f"did you mean {near}?" if near else f"the study has {listed(there[:8], 'and')}{more}"
    return f"no experiment has {shown(wanted)}", hint
