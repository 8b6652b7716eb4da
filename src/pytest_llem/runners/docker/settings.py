"""What a user may decide about containers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.errors import RunnerError

_SIZE = re.compile(r"[1-9][0-9]*[bkmg]?", re.IGNORECASE)


@dataclass(frozen=True)
class DockerSettings:
    """Settings of the Docker runner. Sizes are Docker's: ``"8g"``, ``"512m"``.

    ``python``, ``mounts`` and ``environment`` are for images that were not built by ``docker/build.sh``: which
    interpreter has the worker, what else of the host it reads (at the same path), and what it needs to know.
    """

    images: Mapping[str, str] = field(default_factory=dict)  # backend -> image; before environment and default
    shm_size: str = "8g"
    memory: str | None = None
    network: str = "bridge"  # for experiments that need a download; all others have none
    python: str = "python3"
    mounts: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    worker: str = "pytest_llem.runners.worker"  # the module that is the worker program


def settings_from(images: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> DockerSettings:
    """The settings of this host, whatever the study: sizes and network by environment variables; raises RunnerError."""
    return DockerSettings(
        images=images,
        shm_size=_size(environment, "LLEM_DOCKER_SHM_SIZE") or DockerSettings.shm_size,
        memory=_size(environment, "LLEM_DOCKER_MEMORY"),
        network=environment.get("LLEM_DOCKER_NETWORK") or DockerSettings.network,
    )


def _size(environment: Mapping[str, str], variable: str) -> str | None:
    text = environment.get(variable)
    if text and not _SIZE.fullmatch(text):
        raise RunnerError(f"{variable}: {text!r} is not a size", hint="write 8g or 512m")
    return text or None
