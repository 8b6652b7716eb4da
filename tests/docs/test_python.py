"""What the documentation says in Python can be compiled; its fixtures, meters and names are those that exist."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from pytest_llem import plugin, run_experiment, run_study
from pytest_llem.api import RunSettings
from pytest_llem.energy.choose import BUILT_IN
from tests.docs.pages import DOCS, ROOT, codes, fenced, table

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCKS = [(page, line, text) for page in PAGES for line, text in fenced(page, "python")]
INTERNAL = {"llem_bench", "llem_containers"}


@pytest.mark.parametrize(("page", "line", "text"), BLOCKS, ids=[f"{p.stem}:{line}" for p, line, _ in BLOCKS])
def test_a_block_compiles_and_imports_what_exists(page: Path, line: int, text: str) -> None:
    compile(text, f"{page.name}:{line}", "exec")
    for module, names in re.findall(r"^from (pytest_llem[\w.]*) import (.+)$", text, re.MULTILINE):
        for name in names.split(", "):
            assert hasattr(import_module(module), name), f"{module} has no {name}"


def test_every_fixture_is_listed() -> None:
    listed = {codes(fixture)[0] for fixture, *_ in table(DOCS / "python.md", "## Other fixtures")}
    assert listed == set(plugin.__all__) - INTERNAL


def test_the_api_is_described_as_it_is() -> None:
    page = DOCS / "python.md"
    arguments = {codes(name)[0] for name, *_ in table(page, "## Without pytest")}
    taken = {*signature(run_experiment).parameters, *signature(run_study).parameters}
    assert arguments == taken - {"config", "study"}
    settings = {codes(name)[0]: default for name, default in table(page, "### `RunSettings`")}
    assert list(settings) == [field.name for field in fields(RunSettings)]
    for field in fields(RunSettings):
        value = None if field.default is MISSING else field.default
        assert settings[field.name] == ("–" if value is None else f"`{str(value).replace('False', 'false')}`")


def test_every_meter_is_listed() -> None:
    listed = {codes(meter)[0] for meter, *_ in table(DOCS / "meters.md", "# Know which power meter is used")}
    assert listed == {*BUILT_IN, "replay:FILE"}
