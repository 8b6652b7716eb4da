"""``variants``: two environments, images or revisions in which every experiment is measured, in turns."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from pytest_llem.errors import LlemError
from pytest_llem.study.document import Document
from pytest_llem.study.git import git
from pytest_llem.study.runner import RunnerChoice, parse_runner
from pytest_llem.study.strict import Strict
from pytest_llem.study.wording import shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+]{0,29}")
_Text = Annotated[str, Field(min_length=1)]


def _image(text: str) -> str:
    parse_runner(f"docker:{text}")
    return text


class VariantSpec(Strict):
    """One of the two, as the study has it; nothing said is the working tree in the Python that runs pytest."""

    git: Annotated[str, Field(pattern=r"^[^-\s]")] | None = None
    python: _Text | None = None
    setup: _Text | None = None
    image: Annotated[str, AfterValidator(_image)] | None = None

    def contradictions(self) -> Iterable[str]:
        own = [name for name in ("git", "python", "setup") if getattr(self, name) is not None]
        if self.image is not None and own:
            yield f"an image brings its own Python and code: {' and '.join(own)} cannot go with it"


def _two(variants: dict[str, Any]) -> dict[str, Any]:
    if len(variants) not in (0, 2):
        raise ValueError(f"two variants are compared, here are {len(variants)}")
    for name in variants:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{shown(name)} cannot be a part of an id (write letters, digits, _ . +)")
    if len({name.lower() for name in variants}) != len(variants):
        raise ValueError("the names differ in capitals only")
    return variants


def _nothing_said(value: object) -> object:
    return {} if value is None else value


VariantSpecs = Annotated[
    dict[str, Annotated[VariantSpec, BeforeValidator(_nothing_said)]],
    AfterValidator(_two),
]


@dataclass(frozen=True)
class Variant:
    """One of two. ``against``: the name of the first, in the second. ``top``: of the working tree, or the study's
    folder. ``commit``: what ``git`` names."""

    name: str
    against: str | None
    spec: VariantSpec
    top: Path
    commit: str | None = None

    def facts(self) -> dict[str, str]:
        """What a result says of it."""
        told = {"name": self.name, "against": self.against, **self.spec.model_dump(), "commit": self.commit}
        return {name: value for name, value in told.items() if value is not None}

    def runner(self, otherwise: RunnerChoice) -> RunnerChoice:
        """Where its cells run. No several backends raise them into containers: the variants say where."""
        if self.spec.image is not None:
            return RunnerChoice("docker", self.spec.image, "study")
        return RunnerChoice("local", decided_by="study") if otherwise.decided_by == "default" else otherwise

    def python(self, tree: Path) -> str | None:
        """The interpreter, with the variant's files in ``tree``; None where there is none."""
        wanted = Path(self.spec.python or sys.executable).expanduser()
        if wanted.name == str(wanted):
            return shutil.which(str(wanted))
        return str(tree / wanted) if (tree / wanted).is_file() else None


def read_variants(
    specs: Mapping[str, VariantSpec],
    document: Document,
    folder: Path,
    runners: Mapping[str, RunnerChoice],
) -> tuple[Variant, ...]:
    """The two variants, or none; tells what they name and what is not there. ``runners`` by backend."""
    if not specs:
        return ()
    try:
        top, no_git = Path(git(folder, "rev-parse", "--show-toplevel")), None
    except LlemError as error:
        top, no_git = folder, error.message
    first = next(iter(specs))
    found = []
    for name, spec in specs.items():
        commit = None
        if spec.git is not None and no_git is not None:
            document.wrong(("variants", name, "git"), f"the study is in no repository ({no_git})")
        elif spec.git is not None:
            try:
                commit = git(top, "rev-parse", "--verify", "--quiet", f"{spec.git}^{{commit}}")
            except LlemError:
                document.wrong(("variants", name, "git"), f"there is no revision {shown(spec.git)}")
        variant = Variant(name, None if name == first else first, spec, top, commit)
        if spec.setup is None and spec.git is None and variant.python(top) is None:
            document.wrong(("variants", name, "python"), f"there is no interpreter {shown(spec.python)}")
        in_containers = [backend for backend, choice in runners.items() if choice.kind == "docker"]
        if in_containers and (spec.git or spec.python) is not None:
            message = f"{in_containers[0]} runs in containers, and this concerns processes on the host"
            document.wrong(("variants", name), message, "name two images, or write runner: local")
        found.append(variant)
    return tuple(found)
