"""The budgets of a study, and which experiments each applies to."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from pytest_llem.study.budget import Budget
from pytest_llem.study.document import Document, Json, Key
from pytest_llem.study.expand import Experiment
from pytest_llem.study.paths import SHORTHANDS, Path, node_at, split, suggestion, value_at
from pytest_llem.study.problems import Problems, listed, nearest, shown
from pytest_llem.study.translate import details, sentences

MOST_BUDGETS = 200

Written = tuple[Budget, Key]
"""A budget and where the study has it; ``()`` for one from outside."""


def read_budgets(document: Document, problems: Problems) -> list[Written]:
    """The budgets of the study that are sound by themselves; mistakes go to ``problems``."""
    entries = document.data.get("budgets")
    if entries is None:
        return []
    if not isinstance(entries, list):
        problems.at(document, ("budgets",), f"expected a list of budgets, got {shown(entries)}")
        return []
    if len(entries) > MOST_BUDGETS:
        problems.at(document, ("budgets",), f"there are {len(entries)} budgets; the limit is {MOST_BUDGETS}")
        return []
    found: list[Written] = []
    for index, entry in enumerate(entries):
        budget = _read(document, ("budgets", index), entry, problems)
        if budget is not None:
            found.append((budget, ("budgets", index)))
    return found


def select(
    budgets: Sequence[Written], experiments: Sequence[Experiment], document: Document, problems: Problems
) -> list[tuple[Budget, ...]]:
    """The budgets of each experiment, in order. A condition that no experiment meets is a mistake."""
    chosen: list[list[Budget]] = [[] for _ in experiments]
    values: dict[Path, list[Json]] = {}
    for budget, key in budgets:
        matches = []
        for name, wanted in budget.when.items():
            path = SHORTHANDS.get(split(name), split(name))
            if path not in values:
                values[path] = [_value(one, path) for one in experiments]
            matches.append({index for index, value in enumerate(values[path]) if _meets(value, wanted)})
            if not matches[-1]:
                problems.at(document, (*key, "when", name), *_no_match(wanted, values[path]))
        together = set(range(len(experiments))).intersection(*matches)
        if not together and all(matches):
            problems.at(document, (*key, "when"), "no experiment meets all of these conditions together")
        for index in sorted(together):
            chosen[index].append(budget)
    return [tuple(own) for own in chosen]


def _read(document: Document, key: Key, entry: Json, problems: Problems) -> Budget | None:
    conditions = entry.get("when") if isinstance(entry, dict) else None
    unknown = [name for name in conditions if node_at(split(name)) is None] if isinstance(conditions, dict) else []
    for name in unknown:
        problems.at(document, (*key, "when", name), "no such field", None if problems.full else suggestion(name))
    try:
        budget = Budget.model_validate(entry)
    except ValidationError as error:
        for inner, message, hint in sentences(details(error), entry, Budget):
            problems.at(document, (*key, *inner), message, hint)
        return None
    return None if unknown else budget


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
