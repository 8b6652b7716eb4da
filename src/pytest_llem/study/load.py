"""Loading a study, from a file or from a mapping: the way from text to cells."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from pydantic import BaseModel, ValidationError

from pytest_llem.study.base import read_document, with_base
from pytest_llem.study.cells import make_cells, runners_of
from pytest_llem.study.document import Document, Json, Key, Place
from pytest_llem.study.expand import Expansion, expand
from pytest_llem.study.fields import check_base
from pytest_llem.study.files import check_files
from pytest_llem.study.header import OTHER_KEYS, Header, safe_name
from pytest_llem.study.identity import study_hash
from pytest_llem.study.overrides import Overrides
from pytest_llem.study.paths import all_paths, is_backend, known_backends, root
from pytest_llem.study.points import all_points
from pytest_llem.study.problems import Problems, did_you_mean
from pytest_llem.study.reading import DEEPEST, read_text
from pytest_llem.study.select import read_budgets, select
from pytest_llem.study.study import Study
from pytest_llem.study.surroundings import extra_budgets, usable, with_time_limit
from pytest_llem.study.translate import details, sentences


def load_study(path: str | Path, *, overrides: Overrides | None = None) -> Study:
    """The study in the file ``path``. Raises ``StudyError`` with every mistake found in it."""
    path, problems = Path(path), Problems()
    text = read_text(path)
    with _collector_paused():
        document = read_document(path, text, problems)
        return _study(_Origin(document, text, path, safe_name(path.stem)), overrides or Overrides(), problems)


def study_from_mapping(
    data: Mapping[str, object], *, name: str, where: str = "<python>", overrides: Overrides | None = None
) -> Study:
    """The study that ``data`` describes, with the keys of a study file; ``name`` is used when it has none.

    ``where`` stands in messages where a file's name would. Paths are relative to the current folder.
    """
    problems = Problems()
    plain = {str(key): _plain(value, (str(key),), where, problems) for key, value in data.items()}
    problems.stop_if_any()
    document = with_base(Document(where, plain), Path.cwd(), problems)
    origin = _Origin(document, json.dumps(plain, indent=2), None, safe_name(name))
    return _study(origin, overrides or Overrides(), problems)


def check_document(document: Document, path: Path) -> None:
    """Raises ``StudyError`` where a study file at ``path`` that holds ``document`` could not be loaded."""
    _study(_Origin(document, "", path, "study"), Overrides(environment={}), Problems())


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


@dataclass(frozen=True)
class _Origin:
    """Where a study comes from."""

    document: Document
    source: str
    path: Path | None
    default_name: str

    @property
    def folder(self) -> Path:
        return Path.cwd() if self.path is None else self.path.resolve().parent


def _study(origin: _Origin, overrides: Overrides, problems: Problems) -> Study:
    document = origin.document
    _check_keys(document, origin.path is not None, problems)
    overrides = usable(overrides, problems)
    header = _header(document, problems)
    budgets = [*read_budgets(document, problems), *extra_budgets(overrides, problems)]
    base = check_base(document, problems)
    if problems.full:
        problems.stop()
    if overrides.seed_ini is not None:
        base.setdefault("seed", overrides.seed_ini)
    points = all_points(document, header.execution.most_cycles, problems)
    found = expand(points, base, document, overrides.seed, problems)
    if points and not found.experiments and not problems:
        _all_left_out(document, found, problems)
    check_files(found.experiments, document, origin.folder, problems)
    problems.stop_if_any()
    chosen = select(budgets, found.experiments, document, problems)
    problems.stop_if_any()
    execution = with_time_limit(header.execution, document, overrides)
    hashed = study_hash([one.config_hash for one in found.experiments], execution)
    name = header.name or origin.default_name
    runners = runners_of(found.experiments, header, overrides)
    judged = list(zip(found.experiments, chosen, strict=True))
    return Study(
        name=name,
        description=header.description,
        path=origin.path,
        source=origin.source,
        study_hash=hashed,
        execution=execution,
        budgets=tuple(budget for budget, _ in budgets),
        runner=header.runner,
        runners=header.runners,
        cells=make_cells(name, judged, execution, hashed, runners, origin.folder),
        left_out=tuple(found.left_out),
        merged=tuple(found.merged),
        notes=tuple(found.notes),
    )


def _check_keys(document: Document, from_file: bool, problems: Problems) -> None:
    known = [*Header.model_fields, *OTHER_KEYS, *root().fields]
    for key in document.data:
        if key not in known and not is_backend(key):
            problems.at(document, (key,), "unknown key", None if problems.full else _key_hint(key, known))
    if from_file and "llem" not in document.data:
        problems.add(Place(document.file), "llem", "is missing", "write llem: 1 at the top")
    for backend in _mapping(document.data.get("runners")):
        if not is_backend(backend) and backend not in known_backends():
            hint = did_you_mean(backend, known_backends())
            problems.at(document, ("runners", backend), "unknown backend", hint)


def _key_hint(key: str, known: list[str]) -> str | None:
    elsewhere = [path for path in all_paths() if path.endswith(f".{key}")]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    if "." in key:
        return f"dotted paths belong into sweep; here, write {key.partition('.')[0]} as a mapping"
    return did_you_mean(key, [*known, *known_backends()])


def _header(document: Document, problems: Problems) -> Header:
    """The header; keys that are wrong are told and left at their defaults."""
    raw = {key: document.data[key] for key in Header.model_fields if key in document.data}
    try:
        return Header.model_validate(raw)
    except ValidationError as error:
        wrong = sentences(details(error), raw, Header)
    for key, message, hint in wrong:
        problems.at(document, key, message, hint)
    for name in {key[0] for key, _, _ in wrong}:
        del raw[str(name)]
    return Header.model_validate(raw)


def _all_left_out(document: Document, found: Expansion, problems: Problems) -> None:
    for reason in dict.fromkeys(one.reason for one in found.left_out):
        problems.at(document, ("sweep",), f"no point of the sweep can run: {reason}")


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _plain(value: object, key: Key, where: str, problems: Problems) -> Json:
    """``value`` as a file would hold it."""
    if len(key) > DEEPEST:
        problems.at(Document(where, {}), key[:3], f"is nested deeper than {DEEPEST} levels")
        return None
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
