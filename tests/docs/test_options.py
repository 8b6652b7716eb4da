"""The page of the options has every option and every ini key, with the right pairs, and no others."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib

import pytest

from pytest_llem.cli import _parser
from pytest_llem.flags import OPTIONS
from tests.conftest import load_plugin
from tests.docs.pages import DOCS, ROOT, codes, fenced, table

PAGE = DOCS / "options.md"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])")
FOREIGN = {"--runtime", "--output", "--filter", "--shm-size"}  # of docker and nvidia-ctk
UNTOLD = {"--junitxml", "--json-report"}  # of pytest, which does not show it; of a plugin that may not be there
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
    """Ours, pytest's own and its plugins', and those of the tools that the pages tell to run."""
    ours = {option.flag for option in OPTIONS}
    help_text = subprocess.run(
        [sys.executable, "-m", "pytest", *load_plugin(), "--help"], capture_output=True, text=True, check=True
    )
    others = {
        *FLAG.findall(help_text.stdout),
        *FLAG.findall((ROOT / "docker" / "build.sh").read_text()),
        *FOREIGN,
        *UNTOLD,
    }
    commands = {flag for command in _commands().values() for flag in _flags_of(command)}
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        named = set(FLAG.findall(re.sub(r"\]\([^)]*\)", "", page.read_text())))
        assert {flag for flag in named if flag.startswith("--llem-")} <= ours, page.name
        assert named <= ours | others | commands, page.name


def test_every_flag_of_a_command_is_listed_and_no_other() -> None:
    rows: dict[str, set[str]] = {}
    for cell, meaning in table(PAGE, "## `llem`"):
        for code in codes(cell):
            flags = rows.setdefault(code.split()[1], set())
            flags |= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", code))
        if "options of `llem compare`" in meaning:
            flags |= rows["compare"]
    for name, command in _commands().items():
        spellings = [set(action.option_strings) for action in command._actions if action.option_strings]
        missing = [words for words in spellings if "--help" not in words and not words & rows[name]]
        assert not missing, name
        assert rows[name] <= set().union(*spellings), name


def test_the_ini_file_of_the_page_has_keys_that_exist() -> None:
    for _, text in fenced(PAGE, "toml"):
        keys = tomllib.loads(text)["tool"]["pytest"]["ini_options"]
        assert keys.keys() <= {option.ini for option in OPTIONS}


def test_markers_and_pages_agree(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest(*load_plugin(), "--markers").stdout.str()
    registered = set(re.findall(r"@pytest\.mark\.(llem\w*)", shown))
    pages = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    named = set(re.findall(r"marker\s+`(llem\w*)`|`(llem\w*)` marker|pytest\.mark\.(llem\w*)", pages))
    assert {word for words in named for word in words if word} == registered


def _commands() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


def _flags_of(command: argparse.ArgumentParser) -> list[str]:
    return [word for action in command._actions for word in action.option_strings if word.startswith("--")]


def test_environment_variables_and_page_agree() -> None:
    listed = {name for cell, *_ in table(PAGE, "## Environment variables") for name in codes(cell)}
    ours = {name.removesuffix("_<BACKEND>") for name in listed if name.startswith("LLEM_")}
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    read = {name.rstrip("_") for name in re.findall(r"""["'](LLEM_[A-Z_]+)""", source)}
    assert ours == read - INTERNAL
    assert {name for name in listed if not name.startswith("LLEM_") and name not in source} == set()


def test_commands_and_page_agree() -> None:
    listed = {code.split()[1] for cell, *_ in table(PAGE, "## `llem`") for code in codes(cell)}
    assert listed - {"--version"} == _commands().keys()
