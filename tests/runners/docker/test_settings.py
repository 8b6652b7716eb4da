"""What a user may set about containers, and that it reaches them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings, settings_from
from pytest_llem.runners.fleet import make_runner
from pytest_llem.study.runner import RunnerChoice
from tests.conftest import load_plugin

from .helpers import SOURCE

STUDY = """
llem: 1
model: tiny
dataset: {n: 1, input_tokens: 4}
runner: docker
"""


def test_without_a_word_there_is_room_for_vllms_shared_memory() -> None:
    assert settings_from({}, {}) == DockerSettings()
    assert DockerSettings().shm_size == "8g"


def test_sizes_and_network_come_from_the_environment() -> None:
    environment = {"LLEM_DOCKER_SHM_SIZE": "1g", "LLEM_DOCKER_MEMORY": "512m", "LLEM_DOCKER_NETWORK": "host"}
    found = settings_from({"vllm": "v:1"}, environment)
    assert found == DockerSettings(images={"vllm": "v:1"}, shm_size="1g", memory="512m", network="host")


@pytest.mark.parametrize("size", ["8 GB", "-1g", "0", "much"])
def test_a_size_that_is_none(size: str) -> None:
    with pytest.raises(RunnerError, match=f"LLEM_DOCKER_SHM_SIZE: '{size}' is not a size"):
        settings_from({}, {"LLEM_DOCKER_SHM_SIZE": size})


def test_the_runners_own_image_wins_over_the_option() -> None:
    images = {"vllm": "option:1", "pytorch": "option:2"}
    runner = make_runner(RunnerChoice("docker", "mine:1"), "vllm", images, print)
    assert isinstance(runner, DockerRunner)
    assert (runner.image("vllm").name, runner.image("pytorch").name) == ("mine:1", "option:2")


def run(folder: Path, text: str, *arguments: str, **environment: str) -> str:
    (folder / "study.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *load_plugin(), "--llem-lock-dir=locks", *arguments, "study.yaml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.docker
def test_the_preflight_can_be_left_out(make_image: Callable[..., str], tmp_path: Path) -> None:
    image = f"--llem-image=pytorch={make_image('crash', protocol='99', schema='1', cuda='none')}"
    stopped, started = "has worker protocol 99", "the last words of a worker"
    printed = run(tmp_path, STUDY, image)
    assert stopped in printed
    assert started not in printed
    for text, arguments in ((STUDY, ["--llem-skip-preflight"]), (STUDY + "execution: {skip_preflight: true}", [])):
        printed = run(tmp_path, text, image, *arguments)
        assert started in printed
        assert stopped not in printed


@pytest.mark.docker
def test_every_image_of_a_study_is_looked_at_before_the_first_container(
    make_image: Callable[..., str], tmp_path: Path
) -> None:
    two = STUDY + "backend: [pytorch, vllm]"
    old = make_image("crash", protocol="98", schema="1", cuda="none")
    good = make_image("crash", protocol="1", schema="1", cuda="none")
    printed = run(tmp_path, two, "-x", f"--llem-image=pytorch={good}", f"--llem-image=vllm={old}")
    assert "FAILED study.yaml::study[pytorch]" in printed
    assert f"image {old} has worker protocol 98" in printed
    assert "the last words of a worker" not in printed


@pytest.mark.docker
def test_a_memory_limit_reaches_the_container(make_image: Callable[..., str], tmp_path: Path, client: Any) -> None:
    image = f"--llem-image=pytorch={make_image('greedy', protocol='1', schema='1', cuda='none')}"
    printed = run(tmp_path, STUDY, image, LLEM_DOCKER_MEMORY="64m")
    assert "its container was killed for memory (limit: 64 MiB)" in printed


def test_an_image_for_nothing_is_refused(tmp_path: Path) -> None:
    assert "--llem-image: 'vllm' is not BACKEND=IMAGE" in run(tmp_path, STUDY, "--llem-image=vllm")
