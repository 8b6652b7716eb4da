"""A real Docker Engine for these tests, and the check that nothing is left of what they started."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import connect

from .helpers import Lab, build_context


def unavailable(reason: str) -> None:
    """Skip, or fail where continuous integration has promised an engine."""
    if os.environ.get("LLEM_CI"):
        pytest.fail(f"{reason}, and LLEM_CI is set", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def client() -> Any:
    """The engine that DOCKER_HOST names."""
    try:
        return connect()
    except LlemError as error:
        unavailable(error.message)


@pytest.fixture(scope="session")
def base_image(client: Any) -> str:
    """An image with Python 3.11 and nothing else."""
    return present(client, os.environ.get("LLEM_TEST_BASE_IMAGE", "python:3.11-slim"))


@pytest.fixture(scope="session")
def worker_image(client: Any) -> str:
    """The image built from docker/pytorch.Dockerfile."""
    return present(client, os.environ.get("LLEM_IMAGE_PYTORCH", "no LLEM_IMAGE_PYTORCH"))


@pytest.fixture(scope="session")
def make_image(client: Any, base_image: str) -> Iterator[Callable[..., str]]:
    """Makes images that hold the stand-in as their worker program, with the labels and environment asked for."""
    made: list[str] = []

    def make(act: str = "busy", **labels: str) -> str:
        tag = f"local/standin:{uuid.uuid4().hex[:8]}"
        client.images.build(fileobj=build_context(base_image, act, labels), custom_context=True, tag=tag, rm=True)
        made.append(tag)
        return tag

    yield make
    for tag in made:
        if client.images.list(filters={"reference": tag}):  # a test may have removed it
            client.images.remove(tag, force=True)


def present(client: Any, image: str) -> str:
    if not client.images.list(filters={"reference": image}):
        unavailable(f"the engine has no image {image}")
    return image


@pytest.fixture
def lab(client: Any, base_image: str) -> Iterator[Callable[..., Lab]]:
    """Makes a place to run stand-in workers in; afterwards nothing of them may be left."""
    labs: list[Lab] = []
    run_id = f"test-{uuid.uuid4().hex[:8]}"

    own_host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")

    def make(client: Any = client, host: str = own_host, **settings: Any) -> Lab:
        labs.append(Lab(client, host, base_image, run_id, Path(tempfile.mkdtemp(prefix="llem-")), settings))
        return labs[-1]

    yield make
    for one in labs:
        one.check_nothing_left()


@pytest.fixture
def make_launch(tmp_path: Path) -> Callable[..., Launch]:
    """Makes a launch for tests that need no engine."""

    def make(backend: str = "pytorch", gpu_uuids: tuple[str, ...] = (), **more: Any) -> Launch:
        return Launch(tmp_path, tmp_path / "log", "run", "cell", backend, gpu_uuids, **more)

    return make
