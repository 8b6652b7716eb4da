"""On a GPU host: a container gets its GPUs and no other, by UUID or through CDI.

LLEM_TEST_GPU_IMAGE names an image with the labels of a worker's image; LLEM_TEST_GPU_MOUNTS, separated by colons, what
of the host it needs besides, and LLEM_TEST_GPU_PYTHON its interpreter. LD_LIBRARY_PATH and PYTHONPATH are passed on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llem.errors import PreflightError
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker import runner as runner_module
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings

pytestmark = [pytest.mark.docker, pytest.mark.gpu]


@pytest.fixture(scope="module")
def uuids() -> list[str]:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA GPU: {error}")
    count = pynvml.nvmlDeviceGetCount()
    return [pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]


@pytest.fixture
def runner(client: object) -> DockerRunner:
    if "LLEM_TEST_GPU_IMAGE" not in os.environ:
        pytest.skip("LLEM_TEST_GPU_IMAGE is not set")
    settings = DockerSettings(
        images={"pytorch": os.environ["LLEM_TEST_GPU_IMAGE"]},
        python=os.environ.get("LLEM_TEST_GPU_PYTHON", "python3"),
        mounts=[Path(path) for path in os.environ.get("LLEM_TEST_GPU_MOUNTS", "").split(":") if path],
        environment={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ},
    )
    return DockerRunner(settings)


def test_each_gpu_is_seen_alone(runner: DockerRunner, uuids: list[str], make_launch: Callable[..., Launch]) -> None:
    """The preflight's probe asks CUDA in the container, and complains of a GPU too few or too many."""
    for uuid in uuids:
        runner.preflight(make_launch(gpu_uuids=(uuid,)))
    runner.preflight(make_launch(gpu_uuids=tuple(uuids)))
    assert uuids


def test_none_is_seen_where_none_is_asked_for(runner: DockerRunner, make_launch: Callable[..., Launch]) -> None:
    runner.preflight(make_launch())


def test_without_toolkit_and_cdi_the_message_says_so(
    runner: DockerRunner, uuids: list[str], make_launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runner_module.inspect_engine

    def bare(client: object) -> Engine:
        return replace(found(client), runtimes=("runc",), cdi_folders=(), cdi_devices=())

    monkeypatch.setattr(runner_module, "inspect_engine", bare)
    with pytest.raises(PreflightError) as caught:
        runner.preflight(make_launch(gpu_uuids=(uuids[0],)))
    assert "neither the NVIDIA runtime nor a CDI device" in str(caught.value)
    assert "nvidia-ctk" in str(caught.value)
