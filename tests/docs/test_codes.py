"""Every reason code is explained, with its weight; no page explains one that does not exist."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_llem import errors
from pytest_llem.energy import validity
from pytest_llem.runners import quality
from tests.docs.pages import DOCS, ROOT, codes, table


def _added() -> set[str]:
    """The codes that ``quality`` adds to those of the estimators: the keys of its table ``also``."""
    nodes = [node for node in ast.walk(ast.parse(inspect.getsource(quality))) if isinstance(node, ast.Assign)]
    (table,) = [node.value for node in nodes if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "also"]
    assert isinstance(table, ast.Dict)
    return {str(key.value) for key in table.keys if isinstance(key, ast.Constant)}


HEADINGS = [
    "## In pytest's warnings summary",
    "## In `warnings` of a result",
    "## In `validity.notes` of a result",
]
KNOWN = {*validity.REASONS, *_added()}
FATAL = {*validity.FATAL, *quality.FATAL}


def test_the_codes_of_a_result_are_found_in_the_source() -> None:
    assert {"gpu_shared", "estimated_energy", "below_physical_floor"} <= _added()


def test_measuring_lists_every_code_with_its_weight() -> None:
    rows = {codes(code)[0]: weight for code, weight, *_ in table(DOCS / "measuring.md", "## Reason codes")}
    assert rows == {code: "invalid" if code in FATAL else "flag" for code in KNOWN}


def test_warnings_say_what_to_do_about_every_code() -> None:
    rows = [codes(code)[0] for code, *_ in table(DOCS / "warnings.md", "## Reason codes")]
    assert sorted(rows) == sorted(KNOWN)


def _said(path: Path) -> Iterator[str]:
    """The first fixed part of each sentence that a module appends to notes or warnings, or makes a finding of."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function = node.func
        appends = isinstance(function, ast.Attribute) and function.attr == "append"
        collects = appends and ast.unparse(function.value) in ("notes", "warnings")
        if collects or (isinstance(function, ast.Name) and function.id == "Finding"):
            said = node.args[-1]
            parts = said.values if isinstance(said, ast.JoinedStr) else [said]
            fixed = [str(one.value).partition(" (")[0].strip(" ,") for one in parts if isinstance(one, ast.Constant)]
            yield next((text for text in fixed if len(text) > 8), "")


def test_every_note_of_a_result_is_explained() -> None:
    page = (DOCS / "warnings.md").read_text()
    folders = [ROOT / "src" / "pytest_llem" / name for name in ("runners", "backends", "energy")]
    said = {text for folder in folders for path in folder.rglob("*.py") for text in _said(path)}
    assert len(said) > 8
    assert {text for text in said if text not in page} == set()


@pytest.mark.parametrize("heading", HEADINGS)
def test_every_text_on_the_page_is_said_somewhere(heading: str) -> None:
    trees = [ast.walk(ast.parse(path.read_text())) for path in (ROOT / "src").rglob("*.py")]
    source = "\n".join(str(node.value) for tree in trees for node in tree if isinstance(node, ast.Constant))
    for cell, *_ in table(DOCS / "warnings.md", heading):
        for code in codes(cell):
            fixed = [part.strip(" :") for part in re.split(r"\b(?:X|Y|N|REASON|CODES)\b|…|, ", code)]
            assert [part for part in fixed if part not in source] == [], code


def test_every_error_is_listed() -> None:
    listed = {name for cell, *_ in table(DOCS / "warnings.md", "## Errors") for name in codes(cell)}
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert listed == raised - {"LlemError"}
