"""Runners are made once, and all that are needed are checked before the first container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llem.errors import PreflightError
from pytest_llem.runners import fleet
from pytest_llem.runners.base import Launch
from pytest_llem.runners.fleet import Fleet
from pytest_llem.runners.local import LocalRunner
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Cell

LAUNCH = Launch(Path("e"), Path("log"), "run", "cell", "pytorch")


class Checked:
    """In place of the Docker runner: notes what it was asked, and finds what it was told to find."""

    def __init__(self, backend: str, problems: Sequence[tuple[str, str]], asked: list[str]) -> None:
        self._problems = problems
        self._backend = backend
        self._asked = asked

    def preflight(self, launch: Launch) -> None:
        assert launch.backend == self._backend
        self._asked.append(launch.backend)
        if self._problems:
            raise PreflightError(self._problems)


def cells(runner: str = "docker", **more: object) -> dict[str, Cell]:
    study = {"llem": 1, "model": "tiny", "backend": ["pytorch", "vllm"], "runner": runner, **more}
    found = study_from_mapping(study, name="s", overrides=Overrides(environment={})).cells
    return {cell.config.backend: cell for cell in found}


def made(
    monkeypatch: pytest.MonkeyPatch, planned: dict[str, Cell], **problems: list[tuple[str, str]]
) -> tuple[Fleet, list[str]]:
    asked: list[str] = []
    monkeypatch.setattr(
        fleet, "make_runner", lambda choice, backend, *_: Checked(backend, problems.get(backend, []), asked)
    )
    return Fleet({}, list(planned.values()), print), asked


def test_every_backend_is_asked_before_the_first_and_later_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = cells()
    ships, asked = made(monkeypatch, planned)
    ships.preflight(planned["pytorch"], LAUNCH)
    assert sorted(asked) == ["pytorch", "vllm"]
    ships.preflight(planned["vllm"], LAUNCH)
    assert asked[2:] == ["vllm"]
    assert ships.runner(planned["vllm"]) is ships.runner(planned["vllm"])


def test_all_problems_stand_in_one_list_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = cells()
    disk, image = ("the disk is full", "free some"), ("no image", "build it")
    ships, _ = made(monkeypatch, planned, pytorch=[disk], vllm=[disk, image])
    for cell in planned.values():  # it is no better the second time
        with pytest.raises(PreflightError) as caught:
            ships.preflight(cell, LAUNCH)
        assert set(caught.value.problems) == {disk, image}
        assert len(caught.value.problems) == 2


def test_what_needs_no_check_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = cells(execution={"skip_preflight": True})
    ships, asked = made(monkeypatch, planned)
    ships.preflight(planned["pytorch"], LAUNCH)
    local = replace(planned["pytorch"], runner=cells("local")["pytorch"].runner, skip_preflight=False)
    ships.preflight(local, LAUNCH)
    assert asked == []


def test_a_local_cell_has_the_local_runner() -> None:
    planned = cells("local")
    ships = Fleet({}, [], print)
    assert isinstance(ships.runner(planned["vllm"]), LocalRunner)
    ships.preflight(planned["vllm"], LAUNCH)
