"""Containers of dead runs are removed, all others are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_llem.processes import own_identity
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.sweep import remove, sweep_dead_containers, sweep_own_containers

from .helpers import Lab
from .test_owner import identity_of_a_dead_process

pytestmark = pytest.mark.docker


@pytest.fixture
def make_container(client: Any, base_image: str) -> Iterator[Callable[..., str]]:
    """Starts a sleeping container with the labels given; returns its name."""
    made: list[Any] = []

    def make(owner: str | None, run: bool = True) -> str:
        labels = {"llem.run": "sweep-test", "llem.cell": "x", "llem.pid": owner} if owner else {"other": "1"}
        container = client.containers.create(base_image, "sleep 600", labels=labels, network_mode="none", init=True)
        made.append(container)
        if run:
            container.start()
        return str(container.name)

    yield make
    for container in made:
        remove(client, container.name)


def test_the_dead_are_swept_running_or_not(client: Any, make_container: Callable[..., str]) -> None:
    dead = identity_of_a_dead_process()
    left = {make_container(dead), make_container(dead, run=False)}
    kept = {make_container(own_identity()), make_container(None)}
    assert left <= set(sweep_dead_containers(client))
    there = {entry["Names"][0].lstrip("/") for entry in client.api.containers(all=True)}
    assert kept <= there
    assert not left & there


def test_a_runner_sweeps_before_it_starts_anything(
    client: Any, make_container: Callable[..., str], lab: Callable[..., Lab]
) -> None:
    dead = make_container(identity_of_a_dead_process())
    said: list[str] = []
    place = lab()
    DockerRunner(place.settings(), {"DOCKER_HOST": place.host}, said.append).start(place.launch("crash")).release()
    assert said == [f"removed container {dead}, left by a run that was killed"]


def test_closing_a_runner_removes_what_it_started(lab: Callable[..., Lab]) -> None:
    place = lab()
    runner = DockerRunner(place.settings(), {"DOCKER_HOST": place.host})
    worker = runner.start(place.launch("silent"))
    runner.close()
    assert place.containers() == []
    worker.release()


def test_own_containers(client: Any, make_container: Callable[..., str]) -> None:
    name = make_container("1 2 3 somebody")
    assert sweep_own_containers(client, "1 2 3 somebody") == [name]
    assert sweep_own_containers(client, "1 2 3 somebody") == []
