"""Reaching the Docker Engine, and what is known about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import MissingDependency, RunnerError

if TYPE_CHECKING:
    from docker import DockerClient

TIMEOUT_S = 60
OLDEST_API = (1, 40)  # Docker 19.03, the first that can be asked for GPUs


@dataclass(frozen=True)
class Engine:
    """What ``docker info`` and ``docker version`` tell that the runner cares about."""

    version: str
    api_version: str
    root: Path  # where images and containers are stored
    runtimes: tuple[str, ...]
    cdi_folders: tuple[Path, ...]  # empty: this engine knows no CDI, or it is switched off
    cdi_devices: tuple[str, ...]  # fully qualified names, where the engine tells (since 28.2)
    rootless: bool
    remapped: bool  # user namespaces: ids inside a container are not the host's

    @property
    def api(self) -> tuple[int, ...]:
        """The API version as numbers."""
        return tuple(int(part) for part in self.api_version.split("."))


def connect(environment: Mapping[str, str] = os.environ) -> DockerClient:
    """A client for the engine that DOCKER_HOST names, else the machine's; raises RunnerError if there is none."""
    try:
        import docker
    except ImportError:
        raise MissingDependency("the Docker SDK for Python (docker)", "docker") from None
    settings = dict(environment)
    settings.setdefault("DOCKER_HOST", _default_host(environment))
    try:
        client = docker.from_env(environment=settings, timeout=TIMEOUT_S)
        client.ping()
    except docker.errors.DockerException as error:
        raise unreachable(error, settings["DOCKER_HOST"]) from None
    return client


def _default_host(environment: Mapping[str, str]) -> str:
    """A rootless engine's socket where only that exists; the SDK itself looks at the system's alone."""
    system = Path("/var/run/docker.sock")
    rootless = Path(environment.get("XDG_RUNTIME_DIR", "/nonexistent"), "docker.sock")
    return f"unix://{rootless if rootless.exists() and not system.exists() else system}"


def unreachable(error: Exception, host: str) -> RunnerError:
    """Why the engine cannot be reached, and what to do."""
    text = str(error)
    if "Permission denied" in text:
        hint = "let your user use Docker: sudo usermod -aG docker $USER, then log in again"
    elif "No such file" in text or "Connection refused" in text:
        hint = "install or start it (sudo systemctl start docker), or let DOCKER_HOST name the engine's socket"
    else:
        hint = "`docker version` must show a server"
    return RunnerError(f"no Docker Engine answers at {host}: {text.splitlines()[0]}", hint=hint)


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
