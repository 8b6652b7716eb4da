"""The Docker Engine: reached, asked about itself, and its errors turned into causes and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import MissingDependency, RunnerError

if TYPE_CHECKING:
    from docker import DockerClient

TIMEOUT_S = 60
OLDEST_API = (1, 40)  # Docker 19.03, the first that can be asked for GPUs
NO_GPU_SUPPORT = "the Docker Engine cannot give a container the GPU"
GPU_HINT = (
    "install the NVIDIA Container Toolkit and run `sudo nvidia-ctk runtime configure --runtime=docker`, or make a CDI "
    "specification: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`; then restart Docker"
)
DISK_HINT = "free some: `docker system df` shows what Docker uses, `docker image prune` removes unused images"
# Engines of different versions word the same cause differently, so telling words are looked for, not sentences.
_CAUSES = (  # how it is recognised, what it is, what to do
    (r"no space left on device|disk quota exceeded", "the disk is full", DISK_HINT),
    (
        r"select device driver|runtime.*nvidia|discover GPU vendor|CDI device|nvidia-container-cli|gathering device",
        NO_GPU_SUPPORT,
        GPU_HINT,
    ),
    (
        r"no such image|manifest unknown|pull access denied|repository does not exist|not found: manifest",
        "the image is missing",
        "`docker pull` it, build it (docker/build.sh BACKEND), or name another: --llem-image=BACKEND=IMAGE",
    ),
    (
        r"bind source path does not exist|invalid mount config",
        "the Docker Engine does not see a folder of this host",
        "use an engine on this very host; for one in a virtual machine, share the folder with it",
    ),
    (
        r"executable file not found|no such file or directory.*exec|exec:.*not found",
        "the image lacks the program that starts the worker",
        "use an image built by docker/build.sh",
    ),
    (
        r"network .* not found|network .*(none|bridge).*unavailable",
        "the Docker Engine has no such network",
        "the model must be downloaded: use an engine with a network, or download it before",
    ),
    (
        r"connection (refused|aborted|reset)|no such file or directory'?\)|read timed out|cannot connect",
        "the Docker Engine went away",
        "see whether it runs (`docker version`) and what its log says (`journalctl -u docker`)",
    ),
)


def failures() -> tuple[type[Exception], ...]:
    """What the SDK raises: errors of the engine, and those of the connection to it."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    return DockerException, RequestException


def explain(error: Exception, doing: str) -> RunnerError:
    """The RunnerError for one of :func:`failures`."""
    text = str(getattr(error, "explanation", None) or error).strip()
    for pattern, cause, hint in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            return RunnerError(f"{doing}: {cause} ({text})", hint=hint)
    return RunnerError(f"{doing}: {text}")


@dataclass(frozen=True)
class Engine:
    """What ``docker info`` and ``docker version`` tell that matters here."""

    version: str
    api_version: str
    root: Path  # where images and containers are stored
    runtimes: tuple[str, ...]
    cdi_folders: tuple[Path, ...]  # empty: this engine knows no CDI, or it is switched off
    cdi_devices: tuple[str, ...]  # fully qualified names, where the engine tells (since 28.2)
    rootless: bool
    remapped: bool  # user namespaces: ids inside a container are not the host's


def inspect_engine(client: DockerClient) -> Engine:
    """Ask the engine about itself."""
    info, version = client.info(), client.version()
    security = " ".join(info.get("SecurityOptions") or ())
    discovered = info.get("DiscoveredDevices") or ()
    return Engine(
        version=version["Version"],
        api_version=version["ApiVersion"],
        root=Path(info.get("DockerRootDir") or "/var/lib/docker"),
        runtimes=tuple(info.get("Runtimes") or ()),
        cdi_folders=tuple(Path(folder) for folder in info.get("CDISpecDirs") or ()),
        cdi_devices=tuple(device["ID"] for device in discovered if device.get("Source") == "cdi"),
        rootless="name=rootless" in security,
        remapped="name=userns" in security,
    )


def connect(environment: Mapping[str, str] = os.environ) -> DockerClient:
    """A client for the engine that DOCKER_HOST names, else the machine's; raises RunnerError if there is none."""
    try:
        import docker
    except ImportError:
        raise MissingDependency("the Docker SDK for Python (docker)", "docker") from None
    host = environment.get("DOCKER_HOST") or _default_host(environment)
    try:
        client = docker.from_env(environment={**environment, "DOCKER_HOST": host}, timeout=TIMEOUT_S)
        client.ping()
    except docker.errors.DockerException as error:
        raise RunnerError(
            f"no Docker Engine answers at {host}: {_root_cause(error)}", hint=_reaching_hint(str(error))
        ) from None
    return client


def _root_cause(error: Exception) -> str:
    """What the system said, below the layers of libraries that each repeat it in theirs."""
    root: BaseException = error
    while (below := root.__cause__ or root.__context__) is not None:
        root = below
    return getattr(root, "strerror", None) or str(error).splitlines()[0]


def _default_host(environment: Mapping[str, str]) -> str:
    """A rootless engine's socket where only that exists; the SDK itself looks at the system's alone."""
    system = Path("/var/run/docker.sock")
    rootless = Path(environment.get("XDG_RUNTIME_DIR", "/nonexistent"), "docker.sock")
    return f"unix://{rootless if rootless.exists() and not system.exists() else system}"


def _reaching_hint(text: str) -> str:
    if "Permission denied" in text:
        return "let your user use Docker: sudo usermod -aG docker $USER, then log in again"
    if "No such file" in text or "Connection refused" in text:
        return "install or start it (sudo systemctl start docker), or let DOCKER_HOST name the engine's socket"
    return "`docker version` must show a server"
