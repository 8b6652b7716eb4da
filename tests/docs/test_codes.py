"""Every reason code is explained, with its weight; no page explains one that does not exist."""

from __future__ import annotations

import ast
import inspect

from pytest_llem import errors
from pytest_llem.energy import validity
from pytest_llem.runners import quality
from tests.docs.pages import DOCS, codes, table


def _appended() -> set[str]:
    """The codes that ``quality`` adds to those of the estimators: the literals that it appends to its list."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(quality))) if isinstance(node, ast.Call)]
    appends = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "append"]
    return {str(argument.value) for call in appends for argument in call.args if isinstance(argument, ast.Constant)}


KNOWN = {*validity.REASONS, *_appended()}
FATAL = {*validity.FATAL, *quality.FATAL}


def test_the_codes_of_a_result_are_found_in_the_source() -> None:
    assert {"gpu_shared", "estimated_energy", "below_physical_floor"} <= _appended()


def test_measuring_lists_every_code_with_its_weight() -> None:
    rows = {codes(code)[0]: weight for code, weight, *_ in table(DOCS / "measuring.md", "## Reason codes")}
    assert rows == {code: "invalid" if code in FATAL else "flag" for code in KNOWN}


def test_warnings_say_what_to_do_about_every_code() -> None:
    rows = [codes(code)[0] for code, *_ in table(DOCS / "warnings.md", "## Reason codes")]
    assert sorted(rows) == sorted(KNOWN)


def test_every_error_is_listed() -> None:
    listed = {name for cell, *_ in table(DOCS / "warnings.md", "## Errors") for name in codes(cell)}
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert listed == raised - {"LlemError"}
