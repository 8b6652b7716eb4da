"""Loading a study, from a file or from a mapping: the way from text to cells."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from pydantic import BaseModel, ValidationError

from pytest_llem.errors import ValueRefused
from pytest_llem.study.base import with_base
from pytest_llem.study.budget import Budget
from pytest_llem.study.cells import check_files, make_cells
from pytest_llem.study.config import BUILT_IN_BACKENDS
from pytest_llem.study.document import Document, Json, Key, Place
from pytest_llem.study.expand import expand
from pytest_llem.study.header import Execution, Header, safe_name
from pytest_llem.study.identity import study_hash
from pytest_llem.study.paths import TOP_LEVEL, all_paths, is_backend, known_backends
from pytest_llem.study.reading import DEEPEST, parse, read_text, shown_path
from pytest_llem.study.runner import Overrides, choose_runner, parse_runner, said
from pytest_llem.study.select import check_conditions, select
from pytest_llem.study.study import Study
from pytest_llem.study.sweep import all_points
from pytest_llem.study.translate import explained
from pytest_llem.study.values import own_values
from pytest_llem.study.variants import read_variants
from pytest_llem.study.wording import did_you_mean, shown


def load_study(path: str | Path, *, overrides: Overrides | None = None) -> Study:
    """The study in the file ``path``. Raises ``StudyError`` with every mistake found in it."""
    path = Path(path)
    text = read_text(path)
    with _collector_paused():
        document = with_base(parse(text, shown_path(path)), path.parent, (path.resolve(),))
        if "llem" not in document.data:
            document.problems.add(Place(document.file), "llem", "is missing", "write llem: 1 at the top")
        study = _study(document, safe_name(path.stem), path.resolve().parent, overrides or Overrides())
        return replace(study, path=path, source=text)


def study_from_mapping(
    data: Mapping[str, object], *, name: str, where: str = "<python>", overrides: Overrides | None = None
) -> Study:
    """The study that ``data`` describes, with the keys of a study file; ``name`` is used when it has none.

    ``where`` stands in messages where a file's name would. Paths are relative to the current folder.
    """
    document = Document(where, {})
    plain = {str(key): _plain(value, (str(key),), document) for key, value in data.items()}
    document.problems.stop_if_any()
    document = with_base(replace(document, data=plain), Path.cwd())
    study = _study(document, safe_name(name), Path.cwd(), overrides or Overrides())
    return replace(study, source=json.dumps(plain, indent=2))


def check_document(document: Document, folder: Path) -> None:
    """Raises ``StudyError`` where a study file in ``folder`` that holds ``document`` could not be loaded."""
    _study(document, "study", folder, Overrides(environment={}))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Ten thousand experiments are many small objects and no cycles; looking for cycles takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _study(document: Document, default_name: str, folder: Path, overrides: Overrides) -> Study:
    """The study of a document; ``folder`` is where its files lie."""
    document = _laid_over(document, overrides)
    problems = document.problems
    _check_keys(document)
    budgets, overrides = _from_outside(overrides, document)
    header = _header(document)
    check_conditions(document)
    own = own_values(document)
    if problems.full:
        problems.stop_if_any()
    if overrides.seed_ini is not None:
        own.setdefault("seed", overrides.seed_ini)
    points = all_points(document, header)
    found = expand(points, own, document, overrides.seed)
    if not found.experiments and not problems:
        for reason in dict.fromkeys(one.reason for one in found.left_out):
            document.wrong(("sweep",), f"no point of the sweep can run: {reason}")
    check_files(found.experiments, document, folder)
    problems.stop_if_any()
    chosen = select([*header.budgets, *budgets], found.experiments, document)
    problems.stop_if_any()
    execution = _with_time_limit(header.in_cycles(), overrides)
    name = header.name or default_name
    backends = {one.config.backend for one in found.experiments}
    runners = {backend: choose_runner(backend, header.runner, header.runners, overrides) for backend in backends}
    variants = read_variants(header.variants, document, folder, runners)
    problems.stop_if_any()
    hashed = study_hash([one.config_hash for one in found.experiments], execution, variants)
    judged = list(zip(found.experiments, chosen, strict=True))
    return Study(
        name=name,
        description=header.description,
        path=None,
        source="",
        study_hash=hashed,
        execution=execution,
        cells=make_cells(name, judged, execution, hashed, runners, folder, variants),
        left_out=tuple(found.left_out),
        merged=tuple(found.merged),
        notes=tuple(found.notes),
    )


def _with_time_limit(execution: Execution, overrides: Overrides) -> Execution:
    in_study = "timeout_s" in execution.model_fields_set
    limit = overrides.timeout_ini_s if overrides.timeout_s is None and not in_study else overrides.timeout_s
    return execution.but({} if limit is None else {"timeout_s": limit})


def _laid_over(document: Document, overrides: Overrides) -> Document:
    """``document`` with the variants and cycles of the command line; raises StudyError for what is no YAML."""
    data, places = dict(document.data), dict(document.places)
    if overrides.variants is not None:
        given = parse(f"variants: {overrides.variants}", "--llem-variants")
        data |= given.data
        places = {key: place for key, place in places.items() if key[0] != "variants"} | given.places
    execution = data.get("execution") or {}
    if overrides.cycles is not None and isinstance(execution, dict):
        kept = {key: value for key, value in execution.items() if key not in ("max_cycles", "precision")}
        data["execution"] = {**kept, "cycles": overrides.cycles}
        places["execution", "cycles"] = Place("--llem-cycles")
    return replace(document, data=data, places=places)


def _check_keys(document: Document) -> None:
    """Tell unknown keys, and take out those without a value, which are as good as absent."""
    for key in list(document.data):
        if key not in TOP_LEVEL and not is_backend(key):
            document.wrong((key,), "unknown key", None if document.problems.full else _key_hint(key))
        if document.data[key] is None:
            del document.data[key]
    runners = document.data.get("runners")
    for backend in runners if isinstance(runners, dict) else ():
        if backend not in known_backends():
            document.wrong(("runners", backend), "unknown backend", did_you_mean(backend, known_backends()))


def _key_hint(key: str) -> str | None:
    elsewhere = [path for path in all_paths() if path.endswith(f".{key}")]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    if "." in key:
        return f"dotted paths belong into sweep; here, write {key.partition('.')[0]} as a mapping"
    return did_you_mean(key, [*TOP_LEVEL, *known_backends()])


def _header(document: Document) -> Header:
    """The header; keys that are wrong are told and left at their defaults."""
    raw = {key: document.data[key] for key in Header.model_fields if key in document.data}
    try:
        return Header.model_validate(raw)
    except ValidationError as error:
        wrong = explained(error, raw, Header)
    for mistake in wrong:
        document.wrong(mistake.key, mistake.message, mistake.hint)
    told = {mistake.key[0] for mistake in wrong}
    return Header.model_validate({key: value for key, value in raw.items() if key not in told})


def _from_outside(overrides: Overrides, document: Document) -> tuple[list[Budget], Overrides]:
    """The budgets that every cell gets, and ``overrides`` without seeds that are none; what is wrong is told."""
    budgets, add = [], document.problems.add
    for budget in overrides.budgets:
        try:
            budgets.append(Budget.from_text(budget))
        except ValueRefused as error:
            add(Place("command line"), "--llem-budget", error.message, error.hint)
    for backend in BUILT_IN_BACKENDS:
        for source, name, text in said(backend, None, {}, overrides):
            try:
                parse_runner(text or "local")
            except ValueRefused as error:
                add(Place(source), name, error.message, error.hint)
    seeds = ((overrides.seed, "command line", "--llem-seed"), (overrides.seed_ini, "ini", "llem_seed"))
    for seed, place, option in seeds:
        if seed is not None and not 0 <= seed < 2**63:
            add(Place(place), option, f"expected a value at least 0, got {shown(seed)}")
            overrides = replace(overrides, seed=None, seed_ini=None)
    return budgets, overrides


def _plain(value: object, key: Key, document: Document) -> Json:
    """``value`` as a file would hold it."""
    if len(key) > DEEPEST:
        document.wrong(key[:3], f"is nested deeper than {DEEPEST} levels")
        return None
    match value:
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            return _plain(value.model_dump(mode="json", exclude_unset=True), key, document)
        case PurePath():
            return str(value)
        case Mapping():
            return {str(name): _plain(below, (*key, str(name)), document) for name, below in value.items()}
        case list() | tuple() | range():
            return [_plain(below, (*key, index), document) for index, below in enumerate(value)]
    document.wrong(key, f"a study cannot hold a {type(value).__name__}")
    return None
