"""What a user may decide about containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


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
