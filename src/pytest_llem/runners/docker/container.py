"""What a worker's container is made of: the arguments of its creation, and nothing done with them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.entry import TOKEN_FOLLOWS
from pytest_llem.runners.docker.folders import Binding
from pytest_llem.runners.docker.gpus import GpuRequest
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.runners.docker.sweep import CELL_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_llem.runners.messages import CONFIG_VARIABLE

HOME = "/tmp"
# What tunes the libraries, and the hub that they ask, reach the worker as they do locally, so that both do the same;
# secrets and paths do not.
TUNING = re.compile(r"(OMP|MKL|NCCL|PYTORCH|TORCH|TOKENIZERS|VLLM)_\w+|HF_ENDPOINT")
NOT_PASSED = re.compile(r"KEY|TOKEN(?!IZERS)|SECRET|PASSWORD|PATH|DIR|ROOT|HOME|FILE|HOST|PORT")


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a container is created."""

    name: str
    image: str
    launch: Launch
    folders: tuple[Binding, ...]
    user: tuple[int, int]
    gpus: GpuRequest
    cache: Path
    owner: str
    tuning: Mapping[str, str]
    token: bool
    program: tuple[str, ...]
    host_user_namespace: bool = False


def tuning(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of this process that a worker should have, too."""
    return {
        name: value for name, value in environment.items() if TUNING.fullmatch(name) and not NOT_PASSED.search(name)
    }


def container_name(run_id: str, cell_id: str) -> str:
    """A readable, unique name of characters that Docker allows."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{run_id}-{cell_id}").strip("-.")[:100]
    return f"llem-{readable}-{secrets.token_hex(3)}"


def creation_arguments(plan: Plan, settings: DockerSettings) -> dict[str, Any]:
    """Arguments for the SDK's ``containers.create``."""
    from docker.types import DeviceRequest, LogConfig, Mount

    launch = plan.launch
    arguments: dict[str, Any] = {
        "image": plan.image,
        "name": plan.name,
        "labels": {RUN_LABEL: launch.run_id, CELL_LABEL: launch.cell_id, OWNER_LABEL: plan.owner},
        "entrypoint": list(plan.program),
        "command": [],
        "environment": _environment(plan, settings),
        "working_dir": str(launch.exchange),
        "mounts": [
            Mount(str(folder.path), str(folder.path), type="bind", read_only=not folder.writable)
            for folder in plan.folders
        ],
        "tmpfs": _memory_folders(plan.folders),
        "user": f"{plan.user[0]}:{plan.user[1]}",
        "init": True,  # tini: passes signals on and collects the dead
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": settings.network if launch.network else "none",
        "shm_size": settings.shm_size,
        "log_config": LogConfig(type="json-file", config={"max-size": "16m", "max-file": "2"}),
        "stdin_open": plan.token,
        "detach": True,
    }
    if settings.memory:
        arguments |= {"mem_limit": settings.memory, "memswap_limit": settings.memory}
    if plan.host_user_namespace:
        arguments["userns_mode"] = "host"
    if plan.gpus.access == "cdi":
        arguments["device_requests"] = [DeviceRequest(driver="cdi", device_ids=list(plan.gpus.devices))]
    elif plan.gpus.access == "nvidia-runtime":
        arguments["device_requests"] = [
            DeviceRequest(driver="nvidia", device_ids=list(plan.gpus.devices), capabilities=[["gpu", "utility"]])
        ]
    return arguments


def _environment(plan: Plan, settings: DockerSettings) -> dict[str, str]:
    environment = {
        "HOME": HOME,
        "USER": "llem",
        "LOGNAME": "llem",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_CACHE": str(plan.cache),
        **plan.tuning,
        **settings.environment,
        **plan.launch.environment,
        CONFIG_VARIABLE: str(plan.launch.job),
    }
    if not plan.launch.network:
        environment["HF_HUB_OFFLINE"] = "1"
    if plan.gpus.access != "nvidia-runtime":
        # CUDA base images ask for all GPUs, and an engine whose default runtime is NVIDIA's would obey.
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    if plan.token:
        environment[TOKEN_FOLLOWS] = "1"
    environment.pop("HF_TOKEN", None)  # never here: `docker inspect` would show it
    return environment


def _memory_folders(folders: tuple[Binding, ...]) -> dict[str, str]:
    """Writable folders in memory. Programs may be run from /tmp, because compilers of kernels put them there."""
    found = {HOME: "exec,mode=1777"}
    if any(folder.path.is_relative_to("/root") for folder in folders):
        found["/root"] = "mode=0755,size=1m"  # the image's own is closed to all but root
    return found
