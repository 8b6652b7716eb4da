"""Which image serves a backend, whether its labels fit this host, and how a missing one is fetched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytest_llem.energy.nvml import Driver
from pytest_llem.runners.docker.client import explain, failures
from pytest_llem.runners.messages import PROTOCOL_VERSION
from pytest_llem.version import __version__

if TYPE_CHECKING:
    from docker import DockerClient

PUBLISHED = "ghcr.io/pytest-llem/pytest-llem"
CUDA_MAJOR = 13  # of the published images
PROTOCOL_LABEL = "org.pytest-llem.protocol"
SCHEMA_LABEL = "org.pytest-llem.schema"
CUDA_LABEL = "org.pytest-llem.cuda"
# The oldest driver for each CUDA major version, Linux (CUDA Toolkit release notes, minor version compatibility).
OLDEST_DRIVER = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
NOTIFY_EVERY_S = 1.0
_HERE = ("Pull complete", "Already exists")
Finding = tuple[str, str]  # what is wrong, how it is mended


class Image(NamedTuple):
    """An image by name, and what made it the one."""

    name: str
    decided_by: str


def image_for(backend: str, images: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Image:
    """The image for a backend: the caller's, else ``LLEM_IMAGE_<BACKEND>``, else that of this version by its name.

    Versions under development share the name that ``docker/build.sh`` gives theirs; only its labels must fit."""
    if backend in images:
        return Image(images[backend], "setting")
    variable = f"LLEM_IMAGE_{backend.upper().replace('-', '_')}"
    if environment.get(variable):
        return Image(environment[variable], variable)
    release = "dev" if ".dev" in __version__ else __version__.partition("+")[0]
    return Image(f"{PUBLISHED}/{backend}:{release}-cuda{CUDA_MAJOR}", "default")


def labels_of(client: DockerClient, image: str) -> dict[str, str] | None:
    """An image's labels, or None if it is not here."""
    from docker.errors import ImageNotFound

    try:
        return dict(client.images.get(image).labels)
    except ImageNotFound:
        return None


def check_labels(image: str, labels: Mapping[str, str], driver: Driver | None, gpus: bool) -> Iterator[Finding]:
    """What in an image's labels does not fit this host. ``driver`` is None where there is no NVIDIA driver."""
    from pytest_llem.results.model import SCHEMA_VERSION

    for label, what, own in (
        (PROTOCOL_LABEL, "worker protocol", PROTOCOL_VERSION),
        (SCHEMA_LABEL, "result schema", SCHEMA_VERSION),
    ):
        if label not in labels:
            yield f"image {image} does not say its {what} (label {label})", "use an image built by docker/build.sh"
        elif labels[label] != str(own):
            yield (
                f"image {image} has {what} {labels[label]}, this pytest-llem {__version__} has {own}",
                "use the image of the same version, or rebuild it from this one (docker/build.sh)",
            )
    cuda = labels.get(CUDA_LABEL)
    if not gpus or not cuda:
        return
    if cuda == "none":
        yield f"image {image} has a CPU build, but the experiment is to use a GPU", "name an image built with CUDA"
    elif driver is not None and driver.cuda is not None and _major(cuda) > _major(driver.cuda):
        oldest = OLDEST_DRIVER.get(_major(cuda))
        newer = f"update it to {oldest} or newer" if oldest else "update the driver"
        yield (
            f"image {image} needs CUDA {cuda}, driver {driver.version} supports CUDA {driver.cuda}",
            f"{newer}, or use an image for CUDA {_major(driver.cuda)}",
        )


def _major(cuda: str) -> int:
    return int(cuda.partition(".")[0])


def pull(client: DockerClient, image: str, notify: Callable[[str], None]) -> list[Finding]:
    """Fetch an image, with a word now and then on how far it has come; returns what went wrong, if anything."""
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    layers: dict[str, bool] = {}
    notify(f"pulling {image}; this may take minutes")
    told = time.monotonic()
    try:
        for event in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise DockerException(event["error"])
            if (status := event.get("status")) == "Pulling fs layer" or status in _HERE:
                layers[event["id"]] = status in _HERE
            if time.monotonic() - told >= NOTIFY_EVERY_S:
                notify(f"pulling {image}: {sum(layers.values())} of {len(layers)} layers are here")
                told = time.monotonic()
    except failures() as error:
        found = explain(error, f"image {image} could not be pulled")
        return [(found.message, found.hint or f"try it by hand: docker pull {image}")]
    return []
