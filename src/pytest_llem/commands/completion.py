"""``llem completion``: a script with which a shell completes commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from pytest_llem.errors import MissingDependency
from pytest_llem.flags import OPTIONS

_RUNNING = ("run", "config")  # what passes options on to pytest


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for bash, zsh or fish; raises MissingDependency."""
    try:
        import shtab
    except ImportError:
        raise MissingDependency("shtab", "completion") from None
    for name, command in _commands(parser):
        command.description = None  # its first line would go before the command's help
        if name in _RUNNING:
            _add_options(command)
        for action in command._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # how shtab is told
    return str(shtab.complete(parser, shell=shell))


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _add_options(parser: argparse.ArgumentParser) -> None:
    """pytest takes them, so the command's own parser does not know them."""
    parser.add_argument("studies", nargs="*", type=Path, help="study files and folders")
    for option in OPTIONS:
        argument = {key: value for key, value in option.argument.items() if key != "type"}
        if argument.get("metavar") in ("DIR", "FILE"):
            argument["type"] = Path
        parser.add_argument(option.flag, help=option.help.replace("%", "%%"), **argument)
