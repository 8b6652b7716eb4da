"""The preflight against a real engine: one list of everything that is wrong, before any worker starts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import PreflightError
from pytest_llem.runners.docker import preflight, runner
from pytest_llem.runners.docker.preflight import PROBE
from pytest_llem.runners.docker.runner import DockerRunner

from .helpers import Lab
from .test_gpus import engine

GPU = "GPU-00000000-0000-0000-0000-000000000000"
MakeLab = Callable[..., Lab]
GOOD = {"protocol": "1", "schema": "1", "cuda": "none"}


def runner_of(place: Lab) -> DockerRunner:
    settings = place.settings(mounts=(), environment={}, worker="pytest_llem.runners.worker")
    return DockerRunner(settings, {"DOCKER_HOST": place.host})


def problems(place: Lab, **launch: Any) -> list[tuple[str, str]]:
    with pytest.raises(PreflightError) as caught:
        runner_of(place).preflight(place.launch("result", **launch))
    return list(caught.value.problems)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all containers that a DockerRunner starts."""
    names: list[str] = []
    start = DockerRunner._start

    def remember(self: DockerRunner, *arguments: Any) -> Any:
        worker = start(self, *arguments)
        names.append(worker.name)
        return worker

    monkeypatch.setattr(DockerRunner, "_start", remember)
    return names


@pytest.mark.docker
def test_a_fitting_image_passes_and_is_looked_into_once(
    lab: MakeLab, make_image: Callable[..., str], started: list[str]
) -> None:
    place = lab(images={"pytorch": make_image(**GOOD)})
    runner = runner_of(place)
    runner.preflight(place.launch("result"))
    assert len(started) == 1
    begin = time.monotonic()
    runner.preflight(place.launch("result", cell_id="another"))
    assert time.monotonic() - begin < 0.1
    assert len(started) == 1


@pytest.mark.docker
def test_the_worker_image_passes(lab: MakeLab, worker_image: str) -> None:
    place = lab(images={"pytorch": worker_image})
    runner_of(place).preflight(place.launch("result"))
    assert place.containers() == []


@pytest.mark.docker
def test_all_problems_come_at_once_and_no_container_starts(
    lab: MakeLab,
    make_image: Callable[..., str],
    started: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "FREE_FOR_RUNNING_BYTES", 1 << 60)
    image = make_image(protocol="0", schema="7", cuda="none")
    found = problems(lab(images={"pytorch": image}), gpu_uuids=(GPU,))
    text = "\n".join(what for what, _ in found)
    assert f"image {image} has worker protocol 0, this pytest-llem" in text
    assert "result schema 7" in text
    assert "has a CPU build, but the experiment is to use a GPU" in text
    assert "cannot give a container the GPU" in text
    assert "GiB free" in text
    assert len(found) == 5
    assert all(fix for _, fix in found)
    assert started == []


@pytest.mark.docker
def test_an_image_that_is_not_ours(lab: MakeLab, started: list[str]) -> None:
    found = problems(lab())
    assert [what.partition(" (label")[0].partition("say its ")[2] for what, _ in found] == [
        "worker protocol",
        "result schema",
    ]
    assert started == []


@pytest.mark.docker
def test_an_image_that_cannot_be_had(lab: MakeLab, started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FREE_FOR_PULLING_BYTES", 0)
    [(what, fix)] = problems(lab(images={"pytorch": "localhost:9/no/such:1"}))
    assert what.startswith("image localhost:9/no/such:1 is not here and cannot be pulled")
    assert "docker/build.sh" in fix
    assert started == []


@pytest.mark.docker
def test_an_image_without_the_worker(lab: MakeLab, base_image: str, make_image: Callable[..., str]) -> None:
    place = lab(images={"pytorch": make_image(**GOOD)})
    runner = DockerRunner(
        place.settings(mounts=(), environment={}, worker="no_such_worker"), {"DOCKER_HOST": place.host}
    )
    with pytest.raises(PreflightError, match="has no no_such_worker"):
        runner.preflight(place.launch("result"))


@pytest.mark.docker
def test_a_clock_that_is_not_the_hosts(
    lab: MakeLab, make_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted = PROBE.replace("time.monotonic()", "time.monotonic() - 1000")
    monkeypatch.setattr(runner, "PROBE", shifted)
    [(what, _)] = problems(lab(images={"pytorch": make_image(**GOOD)}))
    assert "another monotonic clock" in what


@pytest.mark.docker
def test_a_container_that_does_not_start(lab: MakeLab, make_image: Callable[..., str]) -> None:
    place = lab(images={"pytorch": make_image(**GOOD)}, shm_size="1")
    runner = DockerRunner(place.settings(mounts=(Path("/no/such/folder"),)), {"DOCKER_HOST": place.host})
    with pytest.raises(PreflightError, match="does not see a folder of this host"):
        runner.preflight(place.launch("result"))


def look(folder: Path, given: tuple[str, ...] = (), error: str | None = None, **found: Any) -> list[str]:
    """What is made of a probe's answer."""

    def run() -> bytes:
        answer: dict[str, Any] = {"monotonic": time.monotonic(), "gpus": [], "cuda_error": error, "worker": True}
        answer["answer"] = (folder / "question.txt").read_text()
        return b"a banner of the image\n" + json.dumps(answer | found).encode() + b"\n"

    return [what for what, _ in preflight.look_inside("image", given, "w", folder, run)]


def test_gpus_that_are_seen_from_inside_are_those_that_were_given(tmp_path: Path) -> None:
    assert look(tmp_path, (GPU,), gpus=[GPU]) == []
    assert look(tmp_path, (GPU,), gpus=["GPU-1"]) == [
        f"in a container of image, GPU {GPU} cannot be used: it sees GPU-1",
        "a container of image sees GPU GPU-1, which it was not given",
    ]
    [what] = look(tmp_path, (GPU,), error="cuInit: CUDA error 999")
    assert what.endswith("cannot be used: cuInit: CUDA error 999")


def test_a_folder_that_is_not_the_hosts(tmp_path: Path) -> None:
    [what] = look(tmp_path, answer="No such file")
    assert what == "a container does not see this host's temporary folder: No such file"


def test_an_old_engine_is_told_with_its_api() -> None:
    [(what, fix)] = preflight._check_engine(replace(engine(), version="18.09", api_version="1.39"))
    assert what == "Docker Engine 18.09 has API 1.39; 1.40 is the oldest that will do"
    assert "19.03" in fix
