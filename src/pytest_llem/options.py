"""Everything that can be set for a run, as one frozen object; nothing below ever sees ``pytest.Config``.

Precedence for each value: command line, ini, the user's own file, default. (Environment and study file come between the
first two for the runner; :mod:`pytest_llem.study` knows that order.) Light to import: it is loaded in every pytest run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from pytest_llem.user_file import read_user_file, user_file

Busy = Literal["warn", "fail", "wait"]
Isolation = Literal["experiment", "engine"]
Inconclusive = Literal["fail", "pass", "skip"]
OtherBoard = Literal["widen", "refuse"]


# Both are made in every pytest run, and writing a dataclass's methods takes time: none that is not used.
@dataclass(frozen=True, eq=False, repr=False, match_args=False)
class Options:
    """What the user asked for. ``None`` means not said anywhere."""

    runner: str | None = None
    runner_ini: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    results: Path = Path("llem-results")
    resume: str | None = None
    skip_preflight: bool = False
    only: bool = False
    skip: bool = False
    gpus: str | None = None
    busy: Busy = "warn"
    meter: str = "auto"
    require_measured: bool = False
    isolation: Isolation = "experiment"
    budgets: tuple[str, ...] = ()
    inconclusive: Inconclusive = "pass"
    seed: int | None = None
    seed_ini: int | None = None
    timeout_s: float | None = None
    timeout_ini_s: float | None = None
    lock_dir: Path | None = None
    save: Path | None = None
    compare: Path | None = None
    fail_on: tuple[str, ...] = ()
    other_board: OtherBoard = "widen"
    fail_on_given: bool = False  # on the command line, where it makes no sense without a baseline
    json: Path | None = None
    html: Path | None = None
    md: Path | None = None


@dataclass(frozen=True, eq=False, repr=False, match_args=False)
class Option:
    """One option: its command line form and, where ``ini`` is given, the ini key that backs it."""

    flag: str
    help: str
    ini: str | None = None
    ini_type: Literal["string", "bool", "linelist", "float", "int"] = "string"
    argument: dict[str, Any] = field(default_factory=dict)

    @property
    def dest(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


def _choice(*values: str) -> dict[str, Any]:
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
        argument=_choice("fail", "pass", "skip"),
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
        "With --llem-compare: fail when a figure got worse by more than this, such as energy_j:5% (repeatable)",
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


def from_config(config: pytest.Config) -> Options:
    """Read every option once; raises pytest.UsageError for a value that cannot be used."""
    values = {option.flag: _value(config, option) for option in OPTIONS}
    root = config.invocation_params.dir
    results = root / str(values["--llem-results"] or "llem-results")
    lock_dir = values["--llem-lock-dir"]
    return Options(
        runner=config.getoption("llem_runner"),
        runner_ini=standing(config, "llem_runner") or None,
        images=_images((*(standing(config, "llem_images") or ()), *(config.getoption("llem_image") or ()))),
        skip_preflight=bool(values["--llem-skip-preflight"]),
        results=results,
        resume=values["--llem-resume"],
        only=bool(values["--llem-only"]),
        skip=bool(values["--llem-skip"]),
        gpus=values["--llem-gpus"],
        busy=cast("Busy", _one_of(values, "--llem-busy", ("warn", "fail", "wait"))),
        meter=str(values["--llem-meter"] or "auto"),
        require_measured=bool(values["--llem-require-measured"]),
        isolation=cast("Isolation", _one_of(values, "--llem-isolation", ("experiment", "engine"))),
        budgets=(*(standing(config, "llem_budgets") or ()), *(config.getoption("llem_budget") or ())),
        inconclusive=cast("Inconclusive", _one_of(values, "--llem-inconclusive", ("pass", "fail", "skip"))),
        seed=config.getoption("llem_seed"),
        seed_ini=standing(config, "llem_seed"),
        timeout_s=_positive(config.getoption("llem_timeout"), "--llem-timeout"),
        timeout_ini_s=_positive(standing(config, "llem_timeout"), "llem_timeout"),
        lock_dir=Path(lock_dir).expanduser() if lock_dir else None,
        save=_baseline(values["--llem-save"], root, results),
        compare=_baseline(values["--llem-compare"], root, results),
        fail_on=(*(standing(config, "llem_fail_on") or ()), *(config.getoption("llem_fail_on") or ())),
        other_board=cast("OtherBoard", _one_of(values, "--llem-other-board", ("widen", "refuse"))),
        fail_on_given=bool(config.getoption("llem_fail_on")),
        json=root / values["--llem-json"] if values["--llem-json"] else None,
        html=root / values["--llem-html"] if values["--llem-html"] else None,
        md=root / values["--llem-md"] if values["--llem-md"] else None,
    )


def _value(config: pytest.Config, option: Option) -> Any:
    value = config.getoption(option.dest)
    if value is None and option.ini is not None:
        value = standing(config, option.ini)
    return value if value != "" else None


def standing(config: pytest.Config, ini: str) -> Any:
    """What holds for every run unless the command line says otherwise: the project's ini, else the user's own file."""
    value = config.getini(ini)
    return user_settings(config).get(ini) if value is None or value in ([], "") else value


user_key: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def user_settings(config: pytest.Config) -> dict[str, Any]:
    """What the user's own file says, read on first use; raises pytest.UsageError."""
    if user_key not in config.stash:
        kinds = {option.ini: option.ini_type for option in OPTIONS if option.ini is not None}
        config.stash[user_key] = read_user_file(user_file(), kinds)
    return config.stash[user_key]


def _baseline(name: str | None, root: Path, results: Path) -> Path | None:
    """A path where ``name`` looks like one, else that name below the results."""
    if name is None:
        return None
    return root / name if os.sep in name or name.endswith(".json") else results / "baselines" / f"{name}.json"


def _images(entries: tuple[str, ...]) -> dict[str, str]:
    """Image by backend; the last word on a backend counts."""
    found = {}
    for entry in entries:
        backend, _, image = (part.strip() for part in entry.partition("="))
        if not backend or not image:
            raise pytest.UsageError(f"--llem-image: {entry!r} is not BACKEND=IMAGE, such as vllm=local/vllm:1")
        found["pytorch" if backend == "transformers" else backend] = image
    return found


def _one_of(values: dict[str, Any], flag: str, allowed: tuple[str, ...]) -> str:
    value = values[flag] or allowed[0]
    if value not in allowed:  # from an ini file: the command line has been checked by argparse
        raise pytest.UsageError(
            f"{flag.removeprefix('--').replace('-', '_')}: {value!r} is none of {', '.join(allowed)}"
        )
    return str(value)


def _positive(value: float | None, flag: str) -> float | None:
    if value is not None and not value > 0:
        raise pytest.UsageError(f"{flag}: {value:g} is not a positive number of seconds")
    return value


options_key: pytest.StashKey[Options] = pytest.StashKey()


def options_of(config: pytest.Config, read: Callable[[pytest.Config], Options] = from_config) -> Options:
    """The options of this run, read on first use."""
    if options_key not in config.stash:
        config.stash[options_key] = read(config)
    return config.stash[options_key]
