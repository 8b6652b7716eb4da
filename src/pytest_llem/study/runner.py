"""Where an experiment runs: ``local``, ``docker`` or ``docker:IMAGE``, and who decided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pytest_llem.errors import LlemError
from pytest_llem.study.overrides import Overrides
from pytest_llem.study.problems import did_you_mean, shown

DecidedBy = Literal["command line", "environment", "study", "ini", "default"]
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,300}")


@dataclass(frozen=True)
class RunnerChoice:
    """Where a cell runs, and which source decided."""

    kind: str  # "local" | "docker"
    image: str | None = None
    decided_by: str = "default"


def parse_runner(text: str) -> RunnerChoice:
    """Read ``local``, ``docker`` or ``docker:IMAGE``; raises ``LlemError``."""
    kind, colon, image = text.partition(":")
    if kind not in ("local", "docker"):
        hint = did_you_mean(kind, ("local", "docker"), otherwise="write local, docker or docker:IMAGE")
        raise LlemError(f"{shown(text)} is not a runner", hint=hint)
    if not colon:
        return RunnerChoice(kind)
    if kind == "local":
        raise LlemError("the local runner takes no image", hint="write local, or docker:IMAGE")
    if not _IMAGE.fullmatch(image):
        raise LlemError(
            f"{shown(image)} is not the name of an image", hint="write docker:IMAGE, such as docker:llem/vllm:1"
        )
    return RunnerChoice(kind, image)


def said(
    backend: str, runner: str | None, runners: Mapping[str, str], overrides: Overrides
) -> Iterator[tuple[DecidedBy, str, str]]:
    """(source, name there, text) of everything said about the runner of ``backend``, the winner first.

    ``runner`` and ``runners`` are the study's.
    """
    if overrides.runner is not None:
        yield "command line", "--llem-runner", overrides.runner
    own_variable = f"LLEM_RUNNER_{re.sub('[^A-Za-z0-9]', '_', backend).upper()}"
    for variable in (own_variable, "LLEM_RUNNER"):
        if text := overrides.environment.get(variable):
            yield "environment", variable, text
    if backend in runners:
        yield "study", f"runners.{backend}", runners[backend]
    if runner is not None:
        yield "study", "runner", runner
    if overrides.runner_ini:
        yield "ini", "llem_runner", overrides.runner_ini


def choose_runner(backend: str, runner: str | None, runners: Mapping[str, str], overrides: Overrides) -> RunnerChoice:
    """The runner of ``backend``; raises ``LlemError`` when what decides cannot be read."""
    for source, _, text in said(backend, runner, runners, overrides):
        return replace(parse_runner(text), decided_by=source)
    return RunnerChoice("local")
