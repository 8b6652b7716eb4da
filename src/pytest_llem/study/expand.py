"""From the points of a study to the experiments that run: validated, merged where equal, left out where impossible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from pytest_llem.errors import Problem
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.document import Document, Json, Key, dotted
from pytest_llem.study.identity import effective, hash_of_effective
from pytest_llem.study.naming import Names, swept_values, unique
from pytest_llem.study.paths import owner, put, stored
from pytest_llem.study.study import LeftOut, Merged, Scalar
from pytest_llem.study.sweep import Point
from pytest_llem.study.translate import Mistake, explained


@dataclass(frozen=True)
class Experiment:
    """One experiment of a study. ``given`` is the configuration as written, ``config`` the effective one."""

    id: str
    given: ExperimentConfig
    config: ExperimentConfig
    config_hash: str
    notes: tuple[str, ...]
    swept: dict[str, Scalar]
    line: int


@dataclass
class Expansion:
    """What became of a study's points."""

    experiments: list[Experiment] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def expand(points: Sequence[Point], own: dict[str, Json], document: Document, seed: int | None) -> Expansion:
    """Build every point's experiment over the study's ``own`` values; ``seed`` overrides every point's.

    A point of the sweep that its model refuses is left out; an experiment that was asked for explicitly is a mistake.
    """
    told = list(document.problems)
    raw_of = {backend: _for_backend(own, backend) for backend in {point.backend for point in points}}
    swept_of = [swept_values(point.assignments) for point in points]
    names = Names(list(dict.fromkeys(path for swept in swept_of for path in swept)))
    found = Expansion()
    kept: dict[str, Experiment] = {}
    same: list[tuple[str, Merged]] = []  # by the hash of the kept one
    for point, swept in zip(points, swept_of, strict=True):
        label = names.label(point.backend, swept)
        given = _build(point, raw_of[point.backend], seed)
        if not isinstance(given, list):
            config, notes = effective(given)
            config_hash = hash_of_effective(config)
            if config_hash not in kept:
                line = document.place(point.key).line or 0
                kept[config_hash] = Experiment(label, given, config, config_hash, notes, swept, line)
            else:
                because = "; ".join(dict.fromkeys((*kept[config_hash].notes, *notes))) or "all values are equal"
                same.append((config_hash, Merged("", label, because)))
        elif point.key == ("sweep",) and all(mistake.kind == "together" for mistake in given):
            found.left_out.append(LeftOut(label, "; ".join(map(_reason, given))))
        else:
            _tell(given, point, document, told)
    ids = unique({config_hash: one.id for config_hash, one in kept.items()})
    kept |= {config_hash: replace(kept[config_hash], id=new) for config_hash, new in ids.items()}
    found.experiments = list(kept.values())
    found.merged = [replace(one, kept=kept[config_hash].id) for config_hash, one in same]
    explained_by_merging = {note for one in found.merged for note in one.because.split("; ")}
    notes_found = dict.fromkeys(note for one in found.experiments for note in one.notes)
    found.notes = [note for note in notes_found if note not in explained_by_merging]
    return found


def _for_backend(own: dict[str, Json], backend: str) -> dict[str, Json]:
    """The raw configuration for one backend: what is for all, and its own section."""
    raw = {stored((key,))[0]: value for key, value in own.items() if owner((key,)) in (None, backend)}
    return {**raw, "backend": backend}


def _build(point: Point, raw: dict[str, Json], seed: int | None) -> ExperimentConfig | list[Mistake]:
    raw = dict(raw)
    for path, value in point.assignments:
        put(raw, stored(path), value)
    if seed is not None:
        raw["seed"] = seed
    try:
        return ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        return explained(error, raw, ExperimentConfig)


def _reason(mistake: Mistake) -> str:
    return f"{dotted(mistake.key)}: {mistake.message}" if mistake.key else mistake.message


def _tell(mistakes: Sequence[Mistake], point: Point, document: Document, told: Sequence[Problem]) -> None:
    above = () if point.key == ("sweep",) else point.key
    for mistake in mistakes:
        if mistake.kind == "missing" and _follows(mistake.key, told):
            continue
        message, hint = mistake.message, mistake.hint
        if mistake.kind == "missing" and mistake.key[0] == "model":
            message, hint = "no model is given", "write model: tiny, or the id of a model on the hub"
        document.wrong((*above, *mistake.key), message, hint)


def _follows(key: Key, told: Sequence[Problem]) -> bool:
    """Whether what is missing at ``key`` was refused, or misspelt, where it was said, or may stand in a lost base."""
    hint, name = f"did you mean {key[-1]}?", dotted(key)
    return any((one.key or "").startswith((name, "base")) or one.hint == hint for one in told)
