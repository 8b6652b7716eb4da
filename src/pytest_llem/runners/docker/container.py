"""What a worker's container is made of: the arguments of its creation, and nothing done with them."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llem.processes import own_identity
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.docker.entry import TOKEN_FOLLOWS
from pytest_llem.runners.docker.folders import container_user, shared_folders
from pytest_llem.runners.docker.gpus import device_requests
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.runners.docker.sweep import CELL_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_llem.runners.hub import hub_cache
from pytest_llem.runners.messages import CONFIG_VARIABLE

HOME = "/tmp"
# What tunes the libraries, and the hub that they ask, reach the worker as they do locally, so that both do the same;
# secrets and paths do not.
_TUNING = re.compile(r"(OMP|MKL|NCCL|PYTORCH|TORCH|TOKENIZERS|VLLM)_\w+|HF_ENDPOINT")
_NOT_PASSED = re.compile(r"KEY|TOKEN(?!IZERS)|SECRET|PASSWORD|PATH|DIR|ROOT|HOME|FILE|HOST|PORT")


def container_name(run_id: str, cell_id: str) -> str:
    """A readable, unique name of characters that Docker allows."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{run_id}-{cell_id}").strip("-.")[:100]
    return f"llem-{readable}-{secrets.token_hex(3)}"


def creation_arguments(
    launch: Launch,
    image: str,
    program: Sequence[str],
    engine: Engine,
    settings: DockerSettings,
    environment: Mapping[str, str] = os.environ,
    *,
    token: bool = False,
) -> dict[str, Any]:
    """Arguments for the SDK's ``containers.create``; raises RunnerError where this engine cannot give the GPUs.

    ``token``: the hub's will be sent to the program's standard input."""
    from docker.types import LogConfig, Mount

    folders = shared_folders(launch, hub_cache(environment), settings.mounts)
    tmpfs = {HOME: "exec,mode=1777"}  # compilers of kernels put programs there
    if any(path.is_relative_to("/root") for path in folders):
        tmpfs["/root"] = "mode=0755,size=1m"  # the image's own is closed to all but root
    return {
        "image": image,
        "name": container_name(launch.run_id, launch.cell_id),
        "labels": {RUN_LABEL: launch.run_id, CELL_LABEL: launch.cell_id, OWNER_LABEL: own_identity()},
        "entrypoint": list(program),
        "command": [],
        "environment": _variables(launch, engine, settings, environment) | ({TOKEN_FOLLOWS: "1"} if token else {}),
        "working_dir": str(launch.exchange),
        "mounts": [Mount(str(path), str(path), "bind", read_only=not writable) for path, writable in folders.items()],
        "tmpfs": tmpfs,
        "user": container_user(engine, folders),
        "userns_mode": "host" if engine.remapped else None,
        "init": True,  # tini: passes signals on and collects the dead
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": settings.network if launch.network else "none",
        "shm_size": settings.shm_size,
        "mem_limit": settings.memory,
        "memswap_limit": settings.memory,
        "device_requests": device_requests(engine, launch.gpu_uuids),
        "log_config": LogConfig(type="json-file", config={"max-size": "16m", "max-file": "2"}),
        "stdin_open": token,
        "detach": True,
    }


def _variables(
    launch: Launch, engine: Engine, settings: DockerSettings, environment: Mapping[str, str]
) -> dict[str, str]:
    found = {
        "HOME": HOME,
        "USER": "llem",
        "LOGNAME": "llem",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_CACHE": str(hub_cache(environment)),
        **{
            name: text for name, text in environment.items() if _TUNING.fullmatch(name) and not _NOT_PASSED.search(name)
        },
        **settings.environment,
        CONFIG_VARIABLE: str(launch.job),
    }
    if not launch.network:
        found["HF_HUB_OFFLINE"] = "1"
    # CUDA base images ask for all GPUs, and an engine whose default runtime is NVIDIA's would obey. That runtime itself
    # puts the right ones here for a container that asks for some.
    if not launch.gpu_uuids or "nvidia" not in engine.runtimes:
        found["NVIDIA_VISIBLE_DEVICES"] = "void"
    found.pop("HF_TOKEN", None)  # never here: `docker inspect` would show it
    return found
