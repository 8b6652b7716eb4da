"""What is asked of the engine for a container."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.docker.container import container_name, creation_arguments
from pytest_llem.runners.docker.settings import DockerSettings

from .test_gpus import engine

docker = pytest.importorskip("docker")
UUID = "GPU-11111111-aaaa-bbbb-cccc-000000000000"


def arguments(launch: Launch, on: Engine | None = None, settings: DockerSettings | None = None, **more: Any) -> Any:
    environment = more.pop("environment", {"HF_HUB_CACHE": "/no/cache"})
    return creation_arguments(
        launch, "image", ("python3",), on or engine(), settings or DockerSettings(), environment, **more
    )


def test_names_are_readable_unique_and_allowed() -> None:
    names = {container_name("batching-20261123T101500Z-7f3c", "pytorch[bs16 é/x]-c2" + "y" * 200) for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"llem-batching-20261123T101500Z-7f3c-pytorch-bs16-x-c2y*-[0-9a-f]{6}", n) for n in names)
    assert max(map(len, names)) < 128


def test_the_nvidia_runtime_gets_uuids(make_launch: Callable[..., Launch]) -> None:
    found = arguments(make_launch(gpu_uuids=(UUID,)), engine(runtimes=("runc", "nvidia")))
    [request] = found["device_requests"]
    assert (request["Driver"], request["DeviceIDs"], request["Capabilities"]) == (
        "nvidia",
        [UUID],
        [["gpu", "compute", "utility"]],
    )
    assert "NVIDIA_VISIBLE_DEVICES" not in found["environment"]


def test_cdi_gets_names(make_launch: Callable[..., Launch]) -> None:
    found = arguments(make_launch(gpu_uuids=(UUID,)), engine(devices=(f"nvidia.com/gpu={UUID}",)))
    [request] = found["device_requests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", [f"nvidia.com/gpu={UUID}"])
    assert found["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_without_gpus_a_cuda_image_gets_none(make_launch: Callable[..., Launch]) -> None:
    for on in (engine(), engine(runtimes=("runc", "nvidia"))):
        found = arguments(make_launch(), on)
        assert found["device_requests"] == []
        assert found["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_network_only_where_a_download_is_needed(make_launch: Callable[..., Launch], tmp_path: Path) -> None:
    assert arguments(make_launch())["network_mode"] == "none"
    online = arguments(make_launch(network=True), environment={"HF_HUB_CACHE": str(tmp_path / "cache")})
    assert online["network_mode"] == "bridge"
    assert "HF_HUB_OFFLINE" not in online["environment"]


def test_a_token_in_the_settings_does_not_get_into_the_configuration(make_launch: Callable[..., Launch]) -> None:
    found = arguments(make_launch(), settings=DockerSettings(environment={"HF_TOKEN": "secret", "A": "1"}), token=True)
    assert "secret" not in str(found)
    assert found["environment"]["A"] == "1"
    assert found["stdin_open"] is True


def test_folders_below_roots_home_can_be_reached_by_others(make_launch: Callable[..., Launch]) -> None:
    assert arguments(make_launch())["tmpfs"] == {"/tmp": "exec,mode=1777"}
    below = arguments(make_launch(read_only=(Path("/root/models"),)))
    assert below["tmpfs"]["/root"] == "mode=0755,size=1m"


def test_what_tunes_libraries_is_passed_on_but_no_secret_and_no_path(make_launch: Callable[..., Launch]) -> None:
    passed = {"OMP_NUM_THREADS": "1", "VLLM_ATTENTION_BACKEND": "FLASH_ATTN", "TOKENIZERS_PARALLELISM": "false"}
    kept = {"VLLM_API_KEY": "k", "TORCH_HOME": "/t", "HF_TOKEN": "t", "PATH": "/bin", "VLLM_CACHE_ROOT": "/c", "X": "1"}
    found = arguments(make_launch(), environment={**passed, **kept})["environment"]
    assert {name: found.get(name) for name in passed} == passed
    assert not {name: text for name, text in kept.items() if found.get(name) == text}
