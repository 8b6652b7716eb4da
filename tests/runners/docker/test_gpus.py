"""How GPUs are asked for, on engines as they describe themselves; what only a GPU host shows is in test_gpu_host.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker import gpus
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.docker.gpus import device_requests, gpu_access

pytest.importorskip("docker")
FIRST, SECOND = "GPU-11111111-aaaa-bbbb-cccc-000000000000", "GPU-22222222-aaaa-bbbb-cccc-000000000000"
PLACES = {FIRST: (0, 1), SECOND: (1, 0)}  # index and node: NVML's order is not that of the nodes


def engine(folder: Path | None = None, runtimes: tuple[str, ...] = ("runc",), devices: tuple[str, ...] = ()) -> Engine:
    folders = (folder,) if folder else ()
    return Engine("28.3", "1.51", Path("/var/lib/docker"), runtimes, folders, devices, rootless=False, remapped=False)


def specification(names: dict[str, list[str]], kind: str = "nvidia.com/gpu") -> dict[str, object]:
    devices = [
        {"name": name, "containerEdits": {"deviceNodes": [{"path": path} for path in paths]}}
        for name, paths in names.items()
    ]
    return {"cdiVersion": "0.6.0", "kind": kind, "devices": devices}


BY_INDEX = {"0": ["/dev/nvidia0"], "1": ["/dev/nvidia1"], "all": ["/dev/nvidia0", "/dev/nvidia1"]}


@pytest.fixture(autouse=True)
def located(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "locate", PLACES.__getitem__)


def devices(engine: Engine, *uuids: str) -> list[str]:
    """The names of the devices that are asked for."""
    [request] = device_requests(engine, uuids)
    names: list[str] = request["DeviceIDs"]
    return names


def test_no_gpu_is_asked_for_where_none_is_needed() -> None:
    assert device_requests(engine(), ()) == []


def test_how_an_engine_hands_them_over() -> None:
    assert gpu_access(engine()) == "none"
    assert gpu_access(engine(devices=("nvidia.com/gpu=0",))) == "cdi"
    assert gpu_access(engine(runtimes=("runc", "nvidia"), devices=("nvidia.com/gpu=0",))) == "nvidia-runtime"


def test_the_nvidia_runtime_takes_uuids() -> None:
    assert devices(engine(runtimes=("runc", "nvidia")), SECOND) == [SECOND]


def test_an_index_is_found_by_way_of_the_device_node(tmp_path: Path) -> None:
    (tmp_path / "nvidia.json").write_text(json.dumps(specification(BY_INDEX)))
    assert devices(engine(tmp_path), FIRST, SECOND) == ["nvidia.com/gpu=1", "nvidia.com/gpu=0"]


def test_names_that_are_uuids_are_used_as_they_are(tmp_path: Path) -> None:
    nodes = ["/dev/nvidia1", "/dev/dri/card1", "/dev/nvidia-modeset"]
    (tmp_path / "nvidia.yaml").write_text(yaml.safe_dump(specification({**BY_INDEX, FIRST: nodes})))
    assert devices(engine(tmp_path), FIRST) == [f"nvidia.com/gpu={FIRST}"]


def test_all_is_never_one_gpu(tmp_path: Path) -> None:
    (tmp_path / "nvidia.json").write_text(json.dumps(specification({"all": ["/dev/nvidia0"]})))
    with pytest.raises(RunnerError, match=r"CDI does not know GPU GPU-22222222.*\(/dev/nvidia0\): it has all"):
        devices(engine(tmp_path), SECOND)


def test_names_that_only_the_engine_tells_are_matched_by_index() -> None:
    told = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all", "vendor.com/nic=0")
    assert devices(engine(devices=told), SECOND) == ["nvidia.com/gpu=1"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"kind": "vendor.com/nic", "devices": []}', '{"kind": "nvidia.com/gpu"}']
)
def test_neither_runtime_nor_cdi(tmp_path: Path, content: str) -> None:
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(RunnerError, match="neither the NVIDIA runtime nor a CDI device") as caught:
        devices(engine(tmp_path), FIRST)
    assert "nvidia-ctk" in str(caught.value.hint)
