"""``llem import``: a study file of LLenergyMeasure (0.7.0, or its two earlier spellings) in our grammar."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import yaml

from pytest_llem.commands.importing_table import (
    KNOWN,
    TENSORRT,
    Dotted,
    Row,
    decoding,
    other_value,
    target_of,
    values_of_range,
)
from pytest_llem.errors import Problem
from pytest_llem.study.document import Document, Json, Key, Place, Problems, dotted
from pytest_llem.study.load import check_document
from pytest_llem.study.paths import put
from pytest_llem.study.reading import parse, read_text, shown_path
from pytest_llem.study.wording import did_you_mean, shown

_BACKENDS = {"transformers": "pytorch", "pytorch": "pytorch", "vllm": "vllm"}
_RUNNERS = {"process": "local", "local": "local", "container": "docker", "docker": "docker"}
_READ_APART = ("sweep", "experiments", "runners", "images", "base", "engine", "backend", "serving_mode")
_NOT_IN_A_BASE = {*_READ_APART[:5], "study_execution", "execution", "study_name", "name", "version", "output"}
_NULL_SAYS = ("max_input_tokens", "max_output_tokens", "energy_sampler")  # elsewhere it says nothing
_WHOLE = ("device_map", "max_memory")  # mappings whose keys are no fields
_HEAD = """# Converted by `llem import` from {}, a study of LLenergyMeasure.
# Decoding is greedy and goes on to the full length, unless a section below says otherwise.
"""


def convert(path: Path, folder: Path) -> tuple[str, list[Problem]]:
    """The study in ``path`` as text of our grammar, for a file in ``folder``, and each key without a counterpart.

    Raises StudyError with file, line and key of everything that cannot be converted.
    """
    conversion = _Conversion(_read(path), folder)
    document = conversion.run()
    check_document(document, folder)
    notes = sorted(conversion.notes, key=lambda note: (note.file, note.line or 0))
    head = _HEAD.format(path.name) + "# Left out, because there is nothing like it here:\n" * bool(notes)
    head += "".join(f"# - {note._replace(file=Path(note.file).name)}\n" for note in notes)
    plain = yaml.safe_dump(document.data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return head + plain, notes


def _read(path: Path) -> Document:
    """The old file; its base gives what it does not say itself, one top-level key at a time, as it did there."""
    document = parse(read_text(path), shown_path(path))
    if not isinstance(name := document.data.get("base"), str):
        return document
    base = parse(read_text(path.parent / name), shown_path(path.parent / name))
    own = document.data.keys() | _NOT_IN_A_BASE
    data = {key: value for key, value in base.data.items() if key not in own} | document.data
    places = {key: place for key, place in base.places.items() if key[0] not in own}
    return Document(document.file, data, places | document.places)


class _Conversion:
    """One file on its way. ``places`` says where in the old file each key of the new one comes from."""

    def __init__(self, old: Document, folder: Path) -> None:
        self.old, self.folder = old, folder
        self.notes = Problems()
        self.engine = old.data.get("engine", old.data.get("backend"))
        self.backends: Sequence[str] = ()
        self.places: dict[Key, Place] = {}

    def run(self) -> Document:
        self._check()
        sweep, entries = self._mapping("sweep"), self.old.data.get("experiments") or []
        grid = self._grid(sweep) if sweep or not entries else []
        experiments: list[dict[str, Json]] = []
        for index, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            experiments += self._experiment(index, entry, len(experiments))
        used = {*grid, *(str(one["backend"]) for one in experiments)}
        if not used and not self.old.problems:
            self.old.wrong(("engine",), f"nothing is left to convert: {TENSORRT}")
        first = "backend" in self.old.data  # the oldest of the three spellings, with defaults of its own
        new: dict[str, Json] = {"llem": 1, "name": None, "model": {"dtype": "bfloat16"} if first else {}}
        new["backend"] = grid[0] if len(grid) == 1 else list(grid)
        new["dataset"] = {"source": "aienergyscore", "n": 100, "input_tokens": 512 if first else 256}
        new["max_output_tokens"] = 128 if first else 256
        self.backends = sorted(used)
        self._fill(new, (), self.old.data, ())
        new["runners"] = self._runners()
        self.backends = grid
        new["sweep"] = dict(self._sweep(sweep)) if grid else {}
        new["experiments"] = list(experiments)
        self.old.problems.stop_if_any()
        return Document(self.old.file, {k: v for k, v in new.items() if v not in (None, {}, [])}, self.places)

    def _note(self, key: Key, text: str) -> None:
        self.notes.add(self.old.place(key), dotted(key), text)

    def _check(self) -> None:
        data = self.old.data
        if "llem" in data:
            self.old.wrong(("llem",), "this is a study of pytest-llem already", "llem plan shows it")
        if data.get("serving_mode", "offline") != "offline":
            self.old.wrong(("serving_mode",), "a server under load is not measured here, only offline work")
        self.old.problems.stop_if_any()

    def _mapping(self, key: str) -> dict[str, Json]:
        found = self.old.data.get(key) or {}
        if not isinstance(found, dict):
            self.old.wrong((key,), f"expected a mapping, got {shown(found)}")
        return found if isinstance(found, dict) else {}

    def _grid(self, sweep: Mapping[str, Json]) -> list[str]:
        """The backends of the sweep: those listed, else those that its keys name beside the one that is set."""
        engines = [name for key in sweep if (name := key.partition(".")[0]) in (*_BACKENDS, "tensorrt")]
        scoped = [name for name in engines if name in _BACKENDS] or engines
        said: list[Json] = [self.engine] if self.engine else []
        named = self.engine if isinstance(self.engine, list) else [*said, *scoped] or ["transformers"]
        return list(dict.fromkeys(one for name in named for one in self._backend(name, ("engine",))))

    def _backend(self, name: Json, key: Key) -> list[str]:
        if name == "tensorrt":
            self._note(key, TENSORRT)
        elif name not in tuple(_BACKENDS):
            self.old.wrong(key, f"unknown engine {shown(name)}", "transformers, vllm or tensorrt")
        return [_BACKENDS[name]] if isinstance(name, str) and name in _BACKENDS else []

    def _experiment(self, index: int, entry: Json, number: int) -> Iterator[dict[str, Json]]:
        key: Key = ("experiments", index)
        if not isinstance(entry, dict):
            self.old.wrong(key, f"expected a mapping, got {shown(entry)}")
            return
        shared = self.engine if isinstance(self.engine, str) else "transformers"
        for backend in self._backend(entry.get("engine", entry.get("backend", shared)), key):
            self.backends = [backend]
            found: dict[str, Json] = {"backend": backend}
            self._fill(found, ("experiments", number), entry, key)
            yield found

    def _fill(self, target: dict[str, Json], at: Key, written: Mapping[str, Json], key: Key) -> None:
        """Put what is ``written`` at ``key`` of the old file into ``target``, which is at ``at`` of the new one."""
        for old, below, value in _leaves({k: v for k, v in written.items() if k not in _READ_APART}, (), key):
            if value is None and old[-1] not in _NULL_SAYS:
                continue
            for path, converted in self._converted(old, below, value).items():
                self.places[(*at, *path)] = self.old.place(below)
                if not (converted is True and (*at, *path, "mode") in self.places):  # torch_compile, and how
                    put(target, path, converted)

    def _sweep(self, sweep: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
        for name, written in sweep.items():
            key: Key = ("sweep", name)
            values = self._values(key, written)
            group = all(isinstance(value, dict) for value in values)
            rows: list[Row] = []
            for index, value in enumerate(values):
                entry = value if group and isinstance(value, dict) else {name: value}
                at = (*key, index) if group else ("sweep",)
                rows += [row for row in self._rows(entry, at, group) if row not in rows]
            paths = {path for row in rows for path in row}
            scope = _BACKENDS.get(name.split(".")[0])
            if group and scope and len(self.backends) > 1 and any(path[0] != scope for path in paths):
                self.old.wrong(key, f"a group of one engine sets more: make it experiments of {scope}")
            axis = not group and len(paths) == 1 and all(rows)
            new = ".".join(*paths) if axis else name.replace(".", "_")
            self.places["sweep", new] = self.old.place(key)
            if axis:
                yield new, [value for row in rows for value in row.values()]
            elif paths:
                yield new, [{".".join(p): [v] if isinstance(v, list) else v for p, v in row.items()} for row in rows]

    def _rows(self, entry: Mapping[str, Json], key: Key, group: bool) -> Iterator[Row]:
        """What one entry of a sweep sets; lists in the entry of a group multiply."""
        lists = []
        for old, below, value in _leaves(entry, (), key):
            several = group and isinstance(value, list) and value and not isinstance(value[0], list | dict)
            values = value if several and isinstance(value, list) else [value]
            lists.append([self._converted(old, below, one) for one in values])
        for chosen in product(*lists):
            yield {path: value for row in chosen for path, value in row.items()}

    def _values(self, key: Key, written: Json) -> list[Json]:
        """The values of an axis or group; a single value and a range become a list."""
        if not isinstance(written, dict):
            return written if isinstance(written, list) else [written]
        if (found := values_of_range(written)) is None:
            self.old.wrong(key, "this mapping is no range of values", "write a list")
        return found or []

    def _runners(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        said = [(section, *one) for section in ("runners", "images") for one in self._mapping(section).items()]
        for where, name, text in said:
            kind, _, image = str(text).partition(":")
            for backend in self._backend(name, (where, name)):
                if where == "runners" and kind in _RUNNERS:
                    found[backend] = _RUNNERS[kind]
                if where == "images" or image:
                    reason = f"{text} holds no worker of ours: docker/build.sh {backend} --base {image or text}"
                    self._note((where, name), reason)
        return found

    def _converted(self, old: Dotted, key: Key, value: Json) -> Row:
        """What one key becomes: mostly one path; several for what concerns all backends; none, with a note."""
        name = ".".join(old)
        found = decoding(old[-1], value) if old[0] in ("decoder", "sampling_preset") else self._one(name, value)
        if found is None:
            self.old.wrong(key, "unknown key", did_you_mean(name, KNOWN.split()))
        elif isinstance(found, str):
            self._note(key, found)
        else:
            kept = {path: one for path, one in found.items() if path[0] in self.backends or path[0] not in _BACKENDS}
            if found and not kept:
                self._note(key, "no experiment uses this engine")
            return kept
        return {}

    def _one(self, name: str, value: Json) -> Row | str | None:
        target = target_of(name)
        if target is None or target.startswith("-"):
            text = ",".join(map(str, value)) if isinstance(value, list) else "auto" if value is None else str(value)
            return target and target[1:].replace("{}", text)
        if target in ("dataset.source", "model.id") and re.match(r"\.\.?/|[^/~].*\.jsonl$", str(value)):
            path = os.path.relpath(str(value), self.folder)  # it was relative to where the run was started
            value = path if path.startswith(".") else f"./{path}"
        return other_value(target, value)


def _leaves(value: Mapping[str, Json], above: Dotted, key: Key) -> Iterator[tuple[Dotted, Key, Json]]:
    """(path, key in the file, value) of each leaf; keys may be dotted."""
    for name, below in value.items():
        path = (*above, *name.split("."))
        if isinstance(below, dict) and path[-1] not in _WHOLE:
            yield from _leaves(below, path, (*key, name))
        else:
            yield path, (*key, name), below
