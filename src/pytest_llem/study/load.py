"""Loading a study, from a file or from a mapping: the way from text to cells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from pydantic import BaseModel, ValidationError

from pytest_llem.errors import LlemError
from pytest_llem.study.base import read_document, with_base
from pytest_llem.study.budget import Budget
from pytest_llem.study.cell import Cell
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.document import Document, Json, Key, Place
from pytest_llem.study.effective import effective
from pytest_llem.study.expand import Experiment, Expansion, expand
from pytest_llem.study.fields import check_base
from pytest_llem.study.files import located
from pytest_llem.study.header import Execution, Header, safe_name
from pytest_llem.study.identity import hash_of_effective, study_hash
from pytest_llem.study.order import gaps, turns
from pytest_llem.study.overrides import Overrides
from pytest_llem.study.paths import all_paths, is_backend, known_backends, root
from pytest_llem.study.points import all_points
from pytest_llem.study.problems import Problems, did_you_mean
from pytest_llem.study.reading import read_text
from pytest_llem.study.runner import RunnerChoice, choose_runner, said
from pytest_llem.study.select import check_paths, select
from pytest_llem.study.study import Study
from pytest_llem.study.translate import details, sentences

_OTHER_KEYS = ("sweep", "experiments")


def load_study(path: Path, *, overrides: Overrides | None = None) -> Study:
    """The study in the file ``path``. Raises ``StudyError`` with every mistake found in it."""
    problems = Problems()
    text = read_text(path)
    document = read_document(path, text, problems)
    origin = _Origin(document, text, path, safe_name(path.stem))
    return _study(origin, overrides or Overrides(), problems)


def study_from_mapping(
    data: Mapping[str, object], *, name: str, where: str = "<python>", overrides: Overrides | None = None
) -> Study:
    """The study that ``data`` describes, with the keys of a study file; ``name`` is used when it has none.

    ``where`` stands in messages where a file's name would. Paths are relative to the current folder.
    """
    problems = Problems()
    plain = _plain(data, (), where, problems)
    problems.stop_if_any()
    assert isinstance(plain, dict)
    document = with_base(Document(where, plain), Path.cwd(), problems)
    origin = _Origin(document, json.dumps(plain, indent=2), None, safe_name(name))
    return _study(origin, overrides or Overrides(), problems)


def cell_from_config(
    config: ExperimentConfig,
    study: str,
    id: str,  # noqa: A002  the name of Cell's field
    *,
    budgets: Sequence[Budget] = (),
    runner: RunnerChoice | None = None,
    timeout_s: float = 600.0,
    overrides: Overrides | None = None,
) -> Cell:
    """A cell for one experiment that no study file describes. Raises ``LlemError`` for an unreadable override."""
    overrides = overrides or Overrides()
    if overrides.seed is not None:
        config = config.model_copy(update={"seed": overrides.seed})
    config, _ = effective(config)
    return Cell(
        study=study,
        id=safe_name(id),
        config=config,
        config_hash=hash_of_effective(config),
        cycle=1,
        swept={},
        budgets=(*budgets, *(Budget.from_text(text) for text in overrides.budgets)),
        runner=runner or choose_runner(config.backend, None, {}, overrides),
        timeout_s=overrides.timeout_s or timeout_s,
    )


@dataclass(frozen=True)
class _Origin:
    """Where a study comes from."""

    document: Document
    source: str
    path: Path | None
    default_name: str

    @property
    def folder(self) -> Path | None:
        return None if self.path is None else self.path.resolve().parent


def _study(origin: _Origin, overrides: Overrides, problems: Problems) -> Study:
    document = origin.document
    _check_keys(document, origin.path is not None, problems)
    header = _header(document, problems)
    budgets = [(budget, ("budgets", index)) for index, budget in enumerate(header.budgets)]
    conditions_good = check_paths(budgets, document, problems)
    budgets += _extra_budgets(overrides, problems)
    _check_runners(document, header, overrides, problems)
    base = check_base(document, problems)
    if overrides.seed_ini is not None:
        base.setdefault("seed", overrides.seed_ini)
    points = all_points(document, header.execution.cycles, problems)
    found = expand(points, base, document, overrides.seed, problems)
    if points and not found.experiments and not problems:
        _all_left_out(document, found, problems)
    if conditions_good and not problems:
        chosen = select(budgets, found.experiments, document, problems)
    problems.stop_if_any()
    execution = _execution(document, header, overrides)
    made = study_hash([one.config_hash for one in found.experiments], execution)
    name = header.name or origin.default_name
    return Study(
        name=name,
        description=header.description,
        path=origin.path,
        source=origin.source,
        study_hash=made,
        execution=execution,
        budgets=tuple(budget for budget, _ in budgets),
        runner=header.runner,
        runners=header.runners,
        cells=_cells(name, found.experiments, chosen, execution, made, _Where(header, overrides, origin.folder)),
        left_out=tuple(found.left_out),
        merged=tuple(found.merged),
        notes=tuple(f"{name}: {note}" for note in found.notes),
    )


@dataclass(frozen=True)
class _Where:
    """What decides where cells run and lie."""

    header: Header
    overrides: Overrides
    folder: Path | None

    def runner(self, backend: str) -> RunnerChoice:
        return choose_runner(backend, self.header.runner, self.header.runners, self.overrides)


def _cells(
    study: str,
    experiments: Sequence[Experiment],
    budgets: Sequence[tuple[Budget, ...]],
    execution: Execution,
    seed: str,
    where: _Where,
) -> tuple[Cell, ...]:
    runners = {backend: where.runner(backend) for backend in {one.config.backend for one in experiments}}
    single = [
        Cell(
            study=study,
            id=one.id,
            config=located(one.config, where.folder),
            config_hash=one.config_hash,
            cycle=1,
            swept=one.swept,
            budgets=own,
            runner=runners[one.config.backend],
            timeout_s=execution.timeout_s,
            line=one.line,
        )
        for one, own in zip(experiments, budgets, strict=True)
    ]
    if execution.cycles == 1 and not execution.experiment_gap_s and execution.order != "shuffled":
        return tuple(single)
    order = turns(len(single), execution, seed)
    suffixes = {cycle: f"-c{cycle}" if execution.cycles > 1 else "" for _, cycle in order}
    return tuple(
        replace(single[index], id=single[index].id + suffixes[cycle], cycle=cycle, gap_before_s=gap)
        for (index, cycle), gap in zip(order, gaps(order, execution), strict=True)
    )


def _check_keys(document: Document, from_file: bool, problems: Problems) -> None:
    known = [*Header.model_fields, *_OTHER_KEYS, *root().fields]
    for key in document.data:
        if key in known or is_backend(key):
            continue
        elsewhere = next((path for path in all_paths() if path.endswith(f".{key}")), None)
        hint = None
        if not problems.full:
            hint = did_you_mean(key, [*known, *known_backends()])
            if elsewhere is not None:
                hint = f"did you mean {elsewhere}?"
            elif "." in key:
                hint = f"dotted paths belong into sweep; write {key.replace('.', ': {', 1)}: ...}}"
        problems.at(document, (key,), "unknown key", hint)
    if from_file and "llem" not in document.data:
        problems.add(Place(document.file), "llem", "is missing", "write llem: 1 at the top")


def _header(document: Document, problems: Problems) -> Header:
    """The header; keys that are wrong are told and left at their defaults."""
    raw: dict[str, Json] = {key: document.data[key] for key in Header.model_fields if key in document.data}
    try:
        return Header.model_validate(raw)
    except ValidationError as error:
        for key, message, hint in sentences(details(error), raw, Header):
            problems.at(document, key, message, hint)
            raw.pop(str(key[0]), None)
    return Header.model_validate(raw)


def _extra_budgets(overrides: Overrides, problems: Problems) -> list[tuple[Budget, Key]]:
    budgets: list[tuple[Budget, Key]] = []
    for text in overrides.budgets:
        try:
            budgets.append((Budget.from_text(text), ()))
        except LlemError as error:
            problems.add(Place("command line"), "--llem-budget", error.message, error.hint)
    return budgets


def _check_runners(document: Document, header: Header, overrides: Overrides, problems: Problems) -> None:
    """Names of backends under ``runners``, and what the surroundings say, which no model has looked at yet."""
    for backend in header.runners:
        if not is_backend(backend):
            hint = did_you_mean(backend, known_backends())
            problems.at(document, ("runners", backend), "unknown backend", hint)
    for backend in ("pytorch", "vllm", *header.runners):
        for source, key, text in said(backend, None, {}, overrides):
            try:
                choose_runner(backend, text, {}, Overrides(environment={}))
            except LlemError as error:
                problems.add(Place(source), key, error.message, error.hint)


def _execution(document: Document, header: Header, overrides: Overrides) -> Execution:
    """``execution`` with the time limit that wins."""
    given = document.data.get("execution")
    in_study = isinstance(given, dict) and "timeout_s" in given
    limit = overrides.timeout_s if overrides.timeout_s is not None or in_study else overrides.timeout_ini_s
    return header.execution if limit is None else header.execution.model_copy(update={"timeout_s": limit})


def _all_left_out(document: Document, found: Expansion, problems: Problems) -> None:
    reasons = dict.fromkeys(one.reason for one in found.left_out)
    for reason in reasons:
        problems.at(document, ("sweep",), f"no point of the sweep can run: {reason}")


def _plain(value: object, key: Key, where: str, problems: Problems) -> Json:
    """``value`` as a file would hold it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            return _plain(value.model_dump(mode="json", exclude_unset=True), key, where, problems)
        case PurePath():
            return str(value)
        case Mapping():
            return {str(name): _plain(below, (*key, str(name)), where, problems) for name, below in value.items()}
        case list() | tuple() | range():
            return [_plain(below, (*key, index), where, problems) for index, below in enumerate(value)]
    problems.at(Document(where, {}), key, f"a study cannot hold a {type(value).__name__}")
    return None
