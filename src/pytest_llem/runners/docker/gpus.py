"""Giving a container exactly the GPUs of its experiment: through the NVIDIA runtime, or through CDI.

The NVIDIA runtime takes UUIDs. A CDI specification names devices as whoever made it liked: by UUID, or by index; an
index is only trusted by way of the device node that stands behind it, ``/dev/nvidiaN`` with N the GPU's minor number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from pytest_llem.energy import nvml
from pytest_llem.energy.gpus import handle_of
from pytest_llem.errors import MeterError, RunnerError
from pytest_llem.runners.docker.client import GPU_HINT, NO_GPU_SUPPORT, Engine

CDI_KIND = "nvidia.com/gpu"
Devices = Mapping[str, frozenset[str]]  # short name -> its own device nodes; none where only the engine tells the name


def gpu_access(engine: Engine) -> Literal["none", "nvidia-runtime", "cdi"]:
    """How this engine hands over GPUs."""
    if "nvidia" in engine.runtimes:
        return "nvidia-runtime"
    return "cdi" if _cdi_devices(engine) else "none"


def device_requests(engine: Engine, uuids: Sequence[str]) -> list[Any]:
    """What to ask this engine for, as the SDK's DeviceRequests; raises RunnerError for what it cannot give."""
    from docker.types import DeviceRequest

    access = gpu_access(engine)
    if not uuids:
        return []
    if access == "nvidia-runtime":
        capabilities = [["gpu", "compute", "utility"]]  # CUDA itself, and NVML
        return [DeviceRequest(driver="nvidia", device_ids=list(uuids), capabilities=capabilities)]
    if access == "cdi":
        devices = _cdi_devices(engine)
        return [DeviceRequest(driver="cdi", device_ids=[_cdi_name(uuid, devices) for uuid in uuids])]
    raise RunnerError(
        f"{NO_GPU_SUPPORT}: it has neither the NVIDIA runtime nor a CDI device of kind {CDI_KIND}", hint=GPU_HINT
    )


def _cdi_devices(engine: Engine) -> Devices:
    prefix = f"{CDI_KIND}="
    found = {name.removeprefix(prefix): frozenset[str]() for name in engine.cdi_devices if name.startswith(prefix)}
    for folder in engine.cdi_folders:
        for path in sorted(folder.glob("*")):
            if path.suffix in (".json", ".yaml", ".yml"):
                found |= _read_specification(path)
    return found


def _read_specification(path: Path) -> Devices:
    try:
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        if content["kind"] == CDI_KIND:
            return {str(device["name"]): _nodes(device) for device in content["devices"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        pass  # the engine, too, leaves a broken specification out
    return {}


def _nodes(device: Mapping[str, Any]) -> frozenset[str]:
    nodes = device.get("containerEdits", {}).get("deviceNodes", ())
    return frozenset(node["path"] for node in nodes if re.fullmatch(r"/dev/nvidia\d+", node["path"]))


def _cdi_name(uuid: str, devices: Devices) -> str:
    if uuid in devices:
        return f"{CDI_KIND}={uuid}"
    index, minor = locate(uuid)
    node = frozenset({f"/dev/nvidia{minor}"})
    by_node = [name for name, nodes in devices.items() if nodes == node and name != "all"]
    by_index = [str(index)] if devices.get(str(index)) == frozenset() else []
    for name in by_node or by_index:
        return f"{CDI_KIND}={name}"
    raise RunnerError(
        f"CDI does not know GPU {uuid} (/dev/nvidia{minor}): it has {', '.join(sorted(devices))}",
        hint="make its specification again: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    )


def locate(uuid: str) -> tuple[int, int]:
    """NVML's index of a GPU, and the number of its device node."""
    try:
        handle = handle_of(uuid)
        return nvml.ask("nvmlDeviceGetIndex", handle), nvml.ask("nvmlDeviceGetMinorNumber", handle)
    except MeterError as error:
        raise RunnerError(f"the NVIDIA driver does not know GPU {uuid}: {error.message}", hint=error.hint) from None
