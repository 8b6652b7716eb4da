"""Giving a container exactly the GPUs of its experiment: through the NVIDIA runtime, or through CDI.

The NVIDIA runtime takes UUIDs. A CDI specification names devices as whoever made it liked: by UUID, or by index; an
index is only trusted by way of the device node that stands behind it, ``/dev/nvidiaN`` with N the GPU's minor number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.causes import NO_GPU_SUPPORT
from pytest_llem.runners.docker.client import Engine

CDI_KIND = "nvidia.com/gpu"
Access = Literal["none", "nvidia-runtime", "cdi"]


@dataclass(frozen=True)
class GpuRequest:
    """What to ask the engine for. ``devices`` are UUIDs, or CDI names."""

    access: Access
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a GPU is on this host: NVML's index, and the number of its device node."""

    index: int
    minor: int


def request_gpus(engine: Engine, uuids: Sequence[str], locate: Callable[[str], Place] | None = None) -> GpuRequest:
    """How this engine hands over these GPUs; raises RunnerError if it cannot."""
    if not uuids:
        return GpuRequest("none")
    if "nvidia" in engine.runtimes:
        return GpuRequest("nvidia-runtime", tuple(uuids))
    devices = cdi_devices(engine)
    if not devices:
        raise RunnerError(
            "the Docker Engine cannot give a container the GPU: it has neither the NVIDIA runtime nor a CDI device "
            f"of kind {CDI_KIND}",
            hint=NO_GPU_SUPPORT.hint,
        )
    return GpuRequest("cdi", tuple(_cdi_name(uuid, devices, locate or locate_by_nvml) for uuid in uuids))


def cdi_devices(engine: Engine) -> dict[str, frozenset[str]]:
    """The GPUs that CDI knows: short name -> device nodes of its own (empty where only the engine tells the name)."""
    prefix = f"{CDI_KIND}="
    found: dict[str, frozenset[str]] = {
        name.removeprefix(prefix): frozenset() for name in engine.cdi_devices if name.startswith(prefix)
    }
    for folder in engine.cdi_folders:
        for path in sorted(folder.glob("*")):
            if path.suffix in (".json", ".yaml", ".yml"):
                found |= _read_specification(path)
    return found


def _read_specification(path: Path) -> dict[str, frozenset[str]]:
    try:
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        if content["kind"] != CDI_KIND:
            return {}
        return {str(device["name"]): _nodes(device) for device in content["devices"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}  # the engine, too, leaves a broken specification out


def _nodes(device: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]) -> frozenset[str]:
    nodes = device.get("containerEdits", {}).get("deviceNodes", ())
    return frozenset(node["path"] for node in nodes if re.fullmatch(r"/dev/nvidia\d+", node["path"]))


def _cdi_name(uuid: str, devices: Mapping[str, frozenset[str]], locate: Callable[[str], Place]) -> str:
    if uuid in devices:
        return f"{CDI_KIND}={uuid}"
    place = locate(uuid)
    node = frozenset({f"/dev/nvidia{place.minor}"})
    by_node = [name for name, nodes in devices.items() if nodes == node and name != "all"]
    by_index = [str(place.index)] if devices.get(str(place.index)) == frozenset() else []
    for name in by_node or by_index:
        return f"{CDI_KIND}={name}"
    raise RunnerError(
        f"CDI does not know GPU {uuid} (/dev/nvidia{place.minor}): it has {', '.join(sorted(devices))}",
        hint="make its specification again: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    )


def locate_by_nvml(uuid: str) -> Place:
    """Ask the driver where a GPU is; raises RunnerError if it does not know."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            return Place(pynvml.nvmlDeviceGetIndex(handle), pynvml.nvmlDeviceGetMinorNumber(handle))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise RunnerError(f"the NVIDIA driver does not know GPU {uuid}: {error}") from None
