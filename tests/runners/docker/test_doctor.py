"""What ``llem doctor`` says of Docker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.commands import doctor

pytest.importorskip("docker")


def docker_lines() -> str:
    return "\n".join(doctor._docker_lines(doctor._docker()))


@pytest.mark.docker
def test_the_images_that_would_be_used_and_how_one_is_built(
    client: Any, make_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLEM_IMAGE_PYTORCH", image := make_image("busy"))
    monkeypatch.setenv("LLEM_IMAGE_VLLM", "local/none:1")
    told = docker_lines()
    assert told.startswith(f"Docker: {client.version()['Version']}, GPUs: ")
    assert f"image for pytorch: {image} is here\n" in told
    assert "image for vllm: local/none:1 is not here\n" in told
    assert "docker/build.sh BACKEND" in told


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    told = docker_lines()
    assert told.startswith(f"Docker: no Docker Engine answers at unix://{tmp_path}/no.sock")
    assert "DOCKER_HOST" in told
