"""The choice of a runner for studies of several backends, one of which is not installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.api import RunSettings, run_study
from pytest_llem.runners.fleet import LIBRARIES, raised
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Cell
from tests.conftest import Studies


def cells(**more: Any) -> list[Cell]:
    study = {"llem": 1, "model": "tiny", "backend": ["pytorch", "vllm"], **more}
    return list(study_from_mapping(study, name="s", overrides=Overrides(environment={})).cells)


def without_vllm(library: str) -> bool:
    return library != "vllm"


def kinds(found: list[Cell]) -> dict[str, tuple[str, str]]:
    return {cell.config.backend: (cell.runner.kind, cell.runner.decided_by) for cell in found}


def test_where_one_is_missing_all_go_into_containers_and_it_is_said() -> None:
    found, reason = raised(cells(), without_vllm)
    assert kinds(found) == dict.fromkeys(("pytorch", "vllm"), ("docker", "several backends"))
    assert reason is not None
    assert reason.startswith("vllm cannot be run in this Python environment, so pytorch, vllm run in containers")
    assert "--llem-runner=local" in reason
    assert "pytest-llem[vllm]" in reason


def test_where_all_are_here_nothing_changes() -> None:
    given = cells()
    assert raised(given, lambda library: True) == (given, None)


def test_a_single_backend_is_left_to_say_what_it_misses() -> None:
    given = cells(backend="vllm")
    assert raised(given, without_vllm) == (given, None)


def test_a_choice_is_kept() -> None:
    for choice in ({"runner": "local"}, {"runners": {"vllm": "docker"}}, {"runners": {"vllm": "local"}}):
        given = cells(**choice)
        assert raised(given, without_vllm) == (given, None)
    found, _ = raised(cells(runners={"pytorch": "local"}), without_vllm)
    assert kinds(found) == {"pytorch": ("local", "study"), "vllm": ("docker", "several backends")}


def test_a_backend_that_has_no_image_stays() -> None:
    pytorch, vllm = sorted(cells(), key=lambda cell: cell.config.backend)
    own = replace(pytorch, config=pytorch.config.model_copy(update={"backend": "own"}))
    found, reason = raised([own, vllm], without_vllm)
    assert kinds(found) == {"own": ("local", "default"), "vllm": ("docker", "several backends")}
    assert reason is not None


def test_a_user_is_told(studies: Studies) -> None:
    studies.pytester.makeconftest(
        "from pytest_llem.runners.fleet import LIBRARIES\nLIBRARIES['vllm'] = ('no_library_of_this_name',)"
    )
    studies.write("""
        llem: 1
        name: two
        model: tiny
        backend: [pytorch, vllm]
        """)
    told = studies.run("--collect-only")
    told.stdout.fnmatch_lines(["*LlemWarning: two: vllm cannot be run in this Python environment, so pytorch, vllm*"])
    quiet = studies.run("--collect-only", "--llem-runner=local")
    quiet.stdout.no_fnmatch_line("*cannot be run in this Python environment*")


def test_a_program_is_warned(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "vllm", ("no_library_of_this_name",))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    study = study_from_mapping({"llem": 1, "model": "tiny", "backend": ["pytorch", "vllm"]}, name="two")
    settings = RunSettings(results=tmp_path, meter="cpu-estimate", lock_dir=tmp_path)
    with pytest.warns(UserWarning, match="two: vllm cannot be run in this Python environment"):
        done = run_study(study, settings=settings)
    messages = [entry.error_message or "" for entry in done.manifest.cells]
    assert len(messages) == 2
    assert all("no Docker Engine answers" in message for message in messages)
