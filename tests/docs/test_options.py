"""The page of the options has every option and every ini key, with the right pairs, and no others."""

from __future__ import annotations

import re

import pytest

from pytest_llem.cli import main
from pytest_llem.options import OPTIONS
from tests.docs.pages import DOCS, ROOT, codes, table

PAGE = DOCS / "options.md"
INTERNAL = {"LLEM_CONFIG_PATH", "LLEM_TOKEN_FOLLOWS"}  # between host and worker


def _rows() -> dict[str, str | None]:
    """Flag -> ini key, of all tables of the page."""
    found: dict[str, str | None] = {}
    for heading in (line for line in PAGE.read_text().splitlines() if line.startswith("## Options: ")):
        for option, ini, *_ in table(PAGE, heading):
            flag = re.match(r"--llem-[a-z-]*[a-z]", codes(option)[0])
            assert flag, option
            assert flag[0] not in found, f"{flag[0]} is there twice"
            found[flag[0]] = codes(ini)[0] if codes(ini) else None
    return found


def test_options_and_page_agree() -> None:
    assert _rows() == {option.flag: option.ini for option in OPTIONS}


def test_every_option_named_in_the_documentation_exists() -> None:
    known = {option.flag for option in OPTIONS}
    for page in DOCS.rglob("*.md"):
        named = set(re.findall(r"--llem-[a-z-]*[a-z]", page.read_text()))
        assert named <= known, f"{page.name}: {named - known}"


def test_environment_variables_and_page_agree() -> None:
    listed = {name for cell, *_ in table(PAGE, "## Environment variables") for name in codes(cell)}
    ours = {name.removesuffix("_<BACKEND>") for name in listed if name.startswith("LLEM_")}
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    read = {name.rstrip("_") for name in re.findall(r"""["'](LLEM_[A-Z_]+)""", source)}
    assert ours == read - INTERNAL


def test_commands_and_page_agree(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    there = set(re.findall(r"^    ([a-z]+)  +", capsys.readouterr().out, re.MULTILINE))
    listed = {code.split()[1] for cell, *_ in table(PAGE, "## `llem`") for code in codes(cell)}
    assert listed - {"--version"} == there
