"""Where an experiment runs, and what the surroundings of a study say over it or under it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_llem.errors import ValueRefused
from pytest_llem.study.wording import did_you_mean, shown

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,300}")


@dataclass(frozen=True)
class RunnerChoice:
    """Where a cell runs, and which source decided."""

    kind: str  # "local" | "docker"
    image: str | None = None
    decided_by: str = "default"


@dataclass(frozen=True)
class Overrides:
    """Values from outside the study file; ``None`` means not said.

    Precedence, for what may be said twice: command line, environment, study file, ini, default. ``runner``, ``seed``,
    ``timeout_s``, ``variants`` and ``cycles`` come from the command line, what has ``ini`` in its name from the ini
    file; ``budgets`` are added to the study's own. ``environment`` is searched for ``LLEM_RUNNER`` and
    ``LLEM_RUNNER_<BACKEND>``.
    """

    runner: str | None = None
    runner_ini: str | None = None
    budgets: tuple[str, ...] = ()
    seed: int | None = None
    seed_ini: int | None = None
    timeout_s: float | None = None
    timeout_ini_s: float | None = None
    variants: str | None = None  # YAML
    cycles: int | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def parse_runner(text: str) -> RunnerChoice:
    """Read ``local``, ``docker`` or ``docker:IMAGE``; raises ``ValueRefused``."""
    kind, colon, image = text.partition(":")
    if kind not in ("local", "docker"):
        hint = did_you_mean(kind, ("local", "docker"), otherwise="write local, docker or docker:IMAGE")
        raise ValueRefused(f"{shown(text)} is not a runner", hint=hint)
    if not colon:
        return RunnerChoice(kind)
    if kind == "local":
        raise ValueRefused("the local runner takes no image", hint="write local, or docker:IMAGE")
    if not _IMAGE.fullmatch(image):
        hint = "write docker:IMAGE, such as docker:llem/vllm:1"
        raise ValueRefused(f"{shown(image)} is not the name of an image", hint=hint)
    return RunnerChoice(kind, image)


def said(
    backend: str, runner: str | None, runners: Mapping[str, str], overrides: Overrides
) -> Iterator[tuple[str, str, str | None]]:
    """(source, name there, text) of everything that could decide on the runner of ``backend``, the strongest first.

    ``runner`` and ``runners`` are the study's.
    """
    yield "command line", "--llem-runner", overrides.runner
    own_variable = f"LLEM_RUNNER_{re.sub('[^A-Za-z0-9]', '_', backend).upper()}"
    for variable in (own_variable, "LLEM_RUNNER"):
        yield "environment", variable, overrides.environment.get(variable) or None
    yield "study", f"runners.{backend}", runners.get(backend)
    yield "study", "runner", runner
    yield "ini", "llem_runner", overrides.runner_ini or None


def choose_runner(backend: str, runner: str | None, runners: Mapping[str, str], overrides: Overrides) -> RunnerChoice:
    """The runner of ``backend``; raises ``ValueRefused`` when what decides cannot be read."""
    for source, _, text in said(backend, runner, runners, overrides):
        if text is not None:
            return replace(parse_runner(text), decided_by=source)
    return RunnerChoice("local")
