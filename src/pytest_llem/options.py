"""Everything that can be set for a run, as one frozen object; nothing below ever sees ``pytest.Config``.

Precedence for each value: command line, ini, the user's own file, default. (Environment and study file come between the
first two for the runner; :mod:`pytest_llem.study` knows that order.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from pytest_llem.errors import MeterError
from pytest_llem.flags import OPTIONS, Option, ini_value, user_file
from pytest_llem.runners.base import Busy, Isolation
from pytest_llem.user_file import read_user_file

Inconclusive = Literal["fail", "pass", "skip"]
OtherBoard = Literal["widen", "refuse"]


@dataclass(frozen=True)
class Options:
    """What the user asked for. ``None`` means not said anywhere."""

    runner: str | None = None
    runner_ini: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    results: Path = Path("llem-results")
    resume: str | None = None
    accept_changes: bool = False
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
    variants: str | None = None
    cycles: int | None = None
    lock_dir: Path | None = None
    save: Path | None = None
    compare: Path | None = None
    fail_on: tuple[str, ...] = ()
    other_board: OtherBoard = "widen"
    fail_on_given: bool = False  # on the command line, where it makes no sense without a baseline
    json: Path | None = None
    html: Path | None = None
    md: Path | None = None


def from_config(config: pytest.Config) -> Options:
    """Read every option once; raises pytest.UsageError for a value that cannot be used."""
    values = {option.flag: _value(config, option) for option in OPTIONS}
    _check_typed(config)
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
        accept_changes=bool(values["--llem-accept-changes"]),
        only=bool(values["--llem-only"]),
        skip=bool(values["--llem-skip"]),
        gpus=values["--llem-gpus"],
        busy=cast("Busy", _one_of(values, "--llem-busy")),
        meter=_meter(str(values["--llem-meter"] or "auto")),
        require_measured=bool(values["--llem-require-measured"]),
        isolation=cast("Isolation", _one_of(values, "--llem-isolation")),
        budgets=(*(standing(config, "llem_budgets") or ()), *(config.getoption("llem_budget") or ())),
        inconclusive=cast("Inconclusive", _one_of(values, "--llem-inconclusive")),
        seed=config.getoption("llem_seed"),
        seed_ini=standing(config, "llem_seed"),
        timeout_s=_positive(config.getoption("llem_timeout"), "--llem-timeout"),
        timeout_ini_s=_positive(standing(config, "llem_timeout"), "llem_timeout"),
        variants=values["--llem-variants"],
        cycles=values["--llem-cycles"],
        lock_dir=Path(lock_dir).expanduser() if lock_dir else None,
        save=_baseline(values["--llem-save"], root, results),
        compare=_baseline(values["--llem-compare"], root, results),
        fail_on=(*(standing(config, "llem_fail_on") or ()), *(config.getoption("llem_fail_on") or ())),
        other_board=cast("OtherBoard", _one_of(values, "--llem-other-board")),
        fail_on_given=bool(config.getoption("llem_fail_on")),
        json=root / values["--llem-json"] if values["--llem-json"] else None,
        html=root / values["--llem-html"] if values["--llem-html"] else None,
        md=root / values["--llem-md"] if values["--llem-md"] else None,
    )


def _check_typed(config: pytest.Config) -> None:
    """What would else be called a mistake of each study file, or of none where there are only Python tests."""
    cycles = config.getoption("llem_cycles")
    if cycles is not None and cycles < 1:
        raise pytest.UsageError(f"--llem-cycles: {cycles} is not a number of cycles: write 1 or more")
    budgets = [("--llem-budget", text) for text in config.getoption("llem_budget") or ()]
    budgets += [("llem_budgets", text) for text in standing(config, "llem_budgets") or ()]
    runners = [("--llem-runner", config.getoption("llem_runner")), ("llem_runner", standing(config, "llem_runner"))]
    runners = [(place, text) for place, text in runners if text]
    if not (budgets or runners):
        return
    from pytest_llem.errors import ValueRefused
    from pytest_llem.study.budget import Budget
    from pytest_llem.study.runner import parse_runner

    readers: tuple[tuple[Callable[[str], object], list[tuple[str, str]]], ...]
    readers = ((Budget.from_text, budgets), (parse_runner, runners))
    for read, said in readers:
        for place, text in said:
            try:
                read(text)
            except ValueRefused as error:
                raise pytest.UsageError(f"{place}: {error}") from None


def _value(config: pytest.Config, option: Option) -> Any:
    value = config.getoption(option.dest)
    if value == "":  # such as --llem-compare=$BASELINE without BASELINE
        raise pytest.UsageError(f"{option.flag} is given without a value: give one, or leave it out")
    if value is None and option.ini is not None:
        value = standing(config, option.ini)
    return value if value != "" else None


def standing(config: pytest.Config, ini: str) -> Any:
    """What holds for every run unless the command line says otherwise: the project's ini, else the user's own file."""
    value = ini_value(config, ini)
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
    if not entries:
        return {}
    from pytest_llem.study.config import BACKEND_ALIASES
    from pytest_llem.study.paths import known_backends
    from pytest_llem.study.wording import did_you_mean

    found = {}
    for entry in entries:
        backend, _, image = (part.strip() for part in entry.partition("="))
        if not backend or not image:
            raise pytest.UsageError(f"--llem-image: {entry!r} is not BACKEND=IMAGE, such as vllm=local/vllm:1")
        if backend not in known_backends():
            near = did_you_mean(backend, known_backends(), otherwise=f"known: {', '.join(sorted(known_backends()))}")
            raise pytest.UsageError(f"--llem-image: no backend is called {backend!r} ({near})")
        found[BACKEND_ALIASES.get(backend, backend)] = image
    return found


def _one_of(values: dict[str, Any], flag: str) -> str:
    """The value of an option that has choices; the first is the default."""
    option = next(option for option in OPTIONS if option.flag == flag)
    allowed = option.argument["choices"]
    value = values[flag] or allowed[0]
    if value not in allowed:  # from an ini file: the command line has been checked by argparse
        raise pytest.UsageError(f"{option.ini}: {value!r} is none of {', '.join(allowed)}")
    return str(value)


def _meter(name: str) -> str:
    """A meter's name that somebody answers to, not tried out yet."""
    if name != "auto":
        from pytest_llem.energy.choose import require_known

        try:
            require_known(name)
        except MeterError as error:
            raise pytest.UsageError(f"--llem-meter: {error}") from None
    return name


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
