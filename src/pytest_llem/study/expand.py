"""From the points of a study to the experiments that run: validated, merged where equal, left out where impossible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from pytest_llem.errors import Problem
from pytest_llem.study.config import BUILT_IN_BACKENDS, ExperimentConfig
from pytest_llem.study.document import Document, Json
from pytest_llem.study.fields import for_backend
from pytest_llem.study.identity import effective, hash_of_effective
from pytest_llem.study.naming import Names, Swept, swept_values, unique
from pytest_llem.study.paths import owner, put
from pytest_llem.study.problems import Problems
from pytest_llem.study.study import LeftOut, Merged
from pytest_llem.study.sweep import Point
from pytest_llem.study.translate import MISSING, combination_text, details, is_combination, sentences

_NO_MODEL = "no model is given"


@dataclass(frozen=True)
class Experiment:
    """One experiment of a study. ``given`` is the configuration as written, ``config`` the effective one."""

    id: str
    given: ExperimentConfig
    config: ExperimentConfig
    config_hash: str
    swept: Swept
    line: int


@dataclass
class Expansion:
    """What became of a study's points."""

    experiments: list[Experiment] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def expand(
    points: Sequence[Point], base: dict[str, Json], document: Document, seed: int | None, problems: Problems
) -> Expansion:
    """Build every point's experiment from the study's own values in ``base``; ``seed`` overrides every point's.

    A point of the sweep that its model refuses is left out; an experiment that was asked for explicitly is a mistake.
    """
    told_before = list(problems)
    raw_of = {backend: for_backend(base, backend) for backend in {point.backend for point in points}}
    swept_of = [swept_values(point.assignments) for point in points]
    names = Names(list(dict.fromkeys(path for swept in swept_of for path in swept)))
    found, mistakes = Expansion(), Problems()
    same: list[tuple[str, str, str]] = []  # hash of the kept one, label of the dropped, why
    notes_found: dict[str, None] = {}
    kept: dict[str, tuple[Experiment, tuple[str, ...]]] = {}
    for point, swept in zip(points, swept_of, strict=True):
        label = names.label(point.backend, swept)
        given = _build(point, raw_of[point.backend], seed, document, mistakes)
        if isinstance(given, str):
            found.left_out.append(LeftOut(label, given))
        elif given is not None:
            config, notes = effective(given)
            config_hash = hash_of_effective(config)
            if config_hash in kept:
                because = "; ".join(dict.fromkeys((*kept[config_hash][1], *notes))) or "all values are equal"
                same.append((config_hash, label, because))
            else:
                line = document.place(point.key).line or 0
                kept[config_hash] = Experiment(label, given, config, config_hash, swept, line), notes
            notes_found |= dict.fromkeys(notes)
    # a value that was refused already is missing here, which is not another mistake
    problems.extend(mistake for mistake in mistakes if not _follows(mistake, told_before))
    told = {note for _, _, because in same for note in because.split("; ")}
    found.notes = [note for note in notes_found if note not in told]
    found.experiments = _with_unique_ids([experiment for experiment, _ in kept.values()])
    id_of = {one.config_hash: one.id for one in found.experiments}
    found.merged = [Merged(id_of[config_hash], label, because) for config_hash, label, because in same]
    return found


def _build(
    point: Point, raw: dict[str, Json], seed: int | None, document: Document, problems: Problems
) -> ExperimentConfig | str | None:
    """The point's configuration; or the reason why it cannot run; or ``None`` after a mistake was added."""
    raw = dict(raw)
    for path, value in point.assignments:
        put(raw, path if owner(path) in (None, *BUILT_IN_BACKENDS) else ("options", *path[1:]), value)
    if seed is not None:
        raw["seed"] = seed
    try:
        return ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        found = details(error)
    refusals = [one for one in found if is_combination(one)]
    if len(refusals) == len(found) and point.key == ("sweep",):
        return "; ".join(combination_text(one) for one in refusals)
    above = () if point.key == ("sweep",) else point.key
    for inner, message, hint in sentences(found, raw, ExperimentConfig):
        if inner in (("model",), ("model", "id")) and message == MISSING:
            message, hint = _NO_MODEL, "write model: tiny, or the id of a model on the hub"
        problems.at(document, (*above, *inner), message, hint)
    return None


def _follows(mistake: Problem, told_before: Sequence[Problem]) -> bool:
    """Whether something is missing only because it was refused, or misspelt, elsewhere."""
    if mistake.message == _NO_MODEL:
        return any((one.key or "").startswith("model") or one.hint == "did you mean model?" for one in told_before)
    return mistake.message == MISSING and bool(told_before)


def _with_unique_ids(experiments: Sequence[Experiment]) -> list[Experiment]:
    ids = unique([one.id for one in experiments], [one.config_hash for one in experiments])
    return [one if one.id == new else replace(one, id=new) for one, new in zip(experiments, ids, strict=True)]
