"""``llem config``: every setting as it would hold here, and where its value comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_llem.commands.run import plugin_arguments
from pytest_llem.errors import LlemError, ValueRefused
from pytest_llem.flags import OPTIONS, Option, user_file
from pytest_llem.options import options_of, user_settings
from pytest_llem.study.runner import parse_runner

_PREFIX = "LLEM_"


class _Looker:
    """Takes pytest's configuration when it is complete, and lets nothing run."""

    found: dict[str, Any] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        options_of(config)  # raises for a value that cannot be used
        _check_runners(os.environ)
        self.found = {
            "settings": {option.flag: _setting(config, option) for option in OPTIONS},
            "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIX)},
            "ini_file": None if config.inipath is None else str(config.inipath),
            "user_file": str(user_file()) if user_file().exists() else None,
            "user_file_place": str(user_file()),
        }
        return 0


def _check_runners(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if value and re.fullmatch("LLEM_RUNNER(_[A-Z0-9_]+)?", name):
            try:
                parse_runner(value)
            except ValueRefused as error:
                raise pytest.UsageError(f"environment: {name}: {error}") from None


def effective(arguments: Sequence[str]) -> dict[str, Any]:
    """All settings for a run with these pytest arguments in this folder: value and source of each; raises LlemError."""
    looker = _Looker()
    code = pytest.main(["-q", *plugin_arguments(), *arguments], plugins=[looker])
    if looker.found is None:
        raise LlemError(f"pytest cannot be configured here (its exit status is {int(code)})")
    return looker.found


def _setting(config: pytest.Config, option: Option) -> dict[str, Any]:
    value = config.getoption(option.dest)
    if value is not None:
        typed = any(argument.partition("=")[0] == option.flag for argument in config.invocation_params.args)
        return {"value": value, "from": "command line" if typed else f"addopts in {config.inipath}"}
    if option.ini is not None:
        value = config.getini(option.ini)
        if value is not None and value not in ([], ""):
            return {"value": value, "from": f"{option.ini} in {config.inipath or 'the command line (-o)'}"}
        if option.ini in user_settings(config):
            return {"value": user_settings(config)[option.ini], "from": f"{option.ini} in {user_file()}"}
    return {"value": None, "from": "default"}


def config_text(found: Mapping[str, Any]) -> str:
    """The settings for a person: what is set first, then what is not."""
    settings: Mapping[str, Mapping[str, Any]] = found["settings"]
    lines = [f"{flag} = {_plain(one['value'])}   ({one['from']})" for flag, one in settings.items() if _is_set(one)]
    lines += [f"{name} = {value}   (environment)" for name, value in found["environment"].items()]
    unset = [flag for flag, one in settings.items() if not _is_set(one)]
    return "\n".join(
        [
            *(lines or ["nothing is set"]),
            f"at their defaults: {', '.join(unset)}",
            f"pytest's ini file: {found['ini_file'] or 'none'}",
            f"your own file: {found['user_file'] or found['user_file_place'] + ' (not there)'}",
            "first wins: command line, environment, study file, ini file, your own file, default",
        ]
    )


def _is_set(setting: Mapping[str, Any]) -> bool:
    return bool(setting["from"] != "default")


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
