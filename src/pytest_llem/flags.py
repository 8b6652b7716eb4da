"""What every pytest run looks at: the names of all options and ini keys, and whether anything was said.

Light to import, and therefore without dataclasses: writing their methods takes longer than all the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import pytest


class Option(NamedTuple):
    """One option: its command line form and, where ``ini`` is given, the ini key that backs it."""

    flag: str
    help: str
    ini: str | None = None
    ini_type: Literal["string", "bool", "linelist", "float", "int"] = "string"
    argument: Mapping[str, Any] = MappingProxyType({})

    @property
    def dest(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


def _choice(*values: str) -> dict[str, Any]:
    """The first is the default."""
    return {"choices": values}


_FLAG: dict[str, Any] = {"action": "store_true"}
RESUME, NEWEST = "--llem-resume", "newest"
OPTIONS = (
    Option(
        "--llem-runner",
        "Where experiments run: local, docker or docker:IMAGE; default: the study's",
        "llem_runner",
        argument={"metavar": "RUNNER"},
    ),
    Option(
        "--llem-image",
        "Image for a backend under the Docker runner, such as vllm=local/vllm:1 (repeatable)",
        "llem_images",
        "linelist",
        argument={"metavar": "BACKEND=IMAGE", "action": "append"},
    ),
    Option("--llem-skip-preflight", "Start containers without looking for problems before", argument=_FLAG),
    Option("--llem-results", "Folder for results; default llem-results", "llem_results", argument={"metavar": "DIR"}),
    Option(
        RESUME,
        "Go on with an interrupted run: the newest of these studies, or RUN (a folder in the results)",
        argument={"metavar": "RUN", "nargs": "?", "const": NEWEST},
    ),
    Option(
        "--llem-accept-changes",
        "With --llem-resume: go on although machine, libraries or image are not those of the earlier results",
        argument=_FLAG,
    ),
    Option("--llem-only", "Collect study items only", argument=_FLAG),
    Option("--llem-skip", "Collect no study items", argument=_FLAG),
    Option("--llem-gpus", "GPUs to use, within CUDA_VISIBLE_DEVICES", "llem_gpus", argument={"metavar": "0,1"}),
    Option(
        "--llem-busy",
        "What to do when a GPU is not clean: warn (default), fail or wait",
        "llem_busy",
        argument=_choice("warn", "fail", "wait"),
    ),
    Option(
        "--llem-meter",
        "auto (default), nvml, zeus, codecarbon, rapl, cpu-estimate or replay:FILE",
        "llem_meter",
        argument={"metavar": "NAME"},
    ),
    Option(
        "--llem-require-measured",
        "Fail an experiment whose energy is an estimate",
        "llem_require_measured",
        "bool",
        argument=_FLAG,
    ),
    Option(
        "--llem-isolation",
        "experiment (default): a fresh worker for each; engine: experiments that can share a loaded engine do",
        "llem_isolation",
        argument=_choice("experiment", "engine"),
    ),
    Option(
        "--llem-budget",
        "One more budget for every cell, such as 'energy_per_output_token_j<=0.5' (repeatable)",
        "llem_budgets",
        "linelist",
        argument={"metavar": "METRIC<=VALUE", "action": "append"},
    ),
    Option(
        "--llem-inconclusive",
        "What an undecided verdict counts as: pass (default, with a warning), fail or skip",
        "llem_inconclusive",
        argument=_choice("pass", "fail", "skip"),
    ),
    Option("--llem-seed", "Seed for every experiment", "llem_seed", "int", argument={"type": int, "metavar": "N"}),
    Option(
        "--llem-timeout",
        "Time limit of each experiment in seconds",
        "llem_timeout",
        "float",
        argument={"type": float, "metavar": "S"},
    ),
    Option(
        "--llem-variants",
        "Two variants of every study in place of its own, such as '{old: {git: main}, new: {}}'",
        argument={"metavar": "YAML"},
    ),
    Option("--llem-cycles", "Cycles of every study in place of its own", argument={"type": int, "metavar": "N"}),
    Option(
        "--llem-lock-dir",
        "Folder for the locks that keep two experiments off one GPU",
        "llem_lock_dir",
        argument={"metavar": "DIR"},
    ),
    Option(
        "--llem-save",
        "Keep this run's figures as a baseline: a name below the results folder, or a path",
        argument={"metavar": "NAME"},
    ),
    Option("--llem-compare", "Compare with a baseline kept before: its name or path", argument={"metavar": "NAME"}),
    Option(
        "--llem-fail-on",
        "Fail when a figure got worse than the baseline's, or the first variant's, such as energy_j:5% (repeatable)",
        "llem_fail_on",
        "linelist",
        argument={"metavar": "METRIC:5%", "action": "append"},
    ),
    Option(
        "--llem-other-board",
        "A baseline from another GPU of the same model: widen the tolerance (default) or refuse the comparison",
        "llem_other_board",
        argument=_choice("widen", "refuse"),
    ),
    Option("--llem-json", "Write all results and verdicts as one JSON file", argument={"metavar": "FILE"}),
    Option("--llem-html", "Write a report as one HTML file", argument={"metavar": "FILE"}),
    Option(
        "--llem-md", "Write tables as Markdown, for a pull request or a job's summary", argument={"metavar": "FILE"}
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Register every option. Each default is None, or the ini value would never be seen."""
    group = parser.getgroup("llem", "energy of LLM inference")
    for option in OPTIONS:
        told = option.help.replace("%", "%%")  # argparse fills its help texts in, pytest does not fill in those of ini
        group.addoption(option.flag, dest=option.dest, default=None, help=told, **option.argument)
        if option.ini is not None:
            # without a default of its own, an unset ini must read as None, which pytest gives only if asked to
            parser.addini(option.ini, option.help, type=option.ini_type, default=None)


def user_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a user's own file is: ``$XDG_CONFIG_HOME/pytest-llem/config.toml``, by default below ``~/.config``."""
    home = environment.get("XDG_CONFIG_HOME")
    return Path(home if home else "~/.config").expanduser() / "pytest-llem" / "config.toml"


def ini_value(config: pytest.Config, name: str) -> Any:
    """What the ini file says; raises pytest.UsageError that names file and key."""
    try:
        return config.getini(name)
    except (pytest.UsageError, ValueError) as error:
        raise pytest.UsageError(f"{config.inipath or '-o'}: {name}: {error}") from None


def anything_said(config: pytest.Config) -> bool:
    """Whether the command line, the ini or a file of the user's own has something for this plugin."""
    return (
        any(config.getoption(option.dest) is not None for option in OPTIONS)
        or any(ini_value(config, option.ini) for option in OPTIONS if option.ini is not None)
        or user_file().exists()
    )
