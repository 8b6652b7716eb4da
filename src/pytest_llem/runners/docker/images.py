"""Which image serves a backend, and whether it fits this host: its labels are compared before a container starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_llem.runners.messages import PROTOCOL_VERSION
from pytest_llem.version import __version__

PUBLISHED = "ghcr.io/pytest-llem/pytest-llem"
CUDA_MAJOR = 13  # of the published images
PROTOCOL_LABEL = "org.pytest-llem.protocol"
SCHEMA_LABEL = "org.pytest-llem.schema"
CUDA_LABEL = "org.pytest-llem.cuda"
# The oldest driver for each CUDA major version, Linux (CUDA Toolkit release notes, minor version compatibility).
OLDEST_DRIVER = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
Finding = tuple[str, str]  # what is wrong, how it is mended


@dataclass(frozen=True)
class Image:
    """An image by name, and what made it the one."""

    name: str
    decided_by: str


@dataclass(frozen=True)
class Driver:
    """The host's NVIDIA driver, and the newest CUDA version that it supports."""

    version: str
    cuda: tuple[int, int]


def image_for(backend: str, images: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Image:
    """The image for a backend: the caller's, else ``LLEM_IMAGE_<BACKEND>``, else the published one."""
    if backend in images:
        return Image(images[backend], "setting")
    variable = f"LLEM_IMAGE_{backend.upper().replace('-', '_')}"
    if environment.get(variable):
        return Image(environment[variable], variable)
    return Image(f"{PUBLISHED}/{backend}:{__version__}-cuda{CUDA_MAJOR}", "default")


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
    if gpus:
        yield from _check_cuda(image, labels.get(CUDA_LABEL), driver)


def _check_cuda(image: str, cuda: str | None, driver: Driver | None) -> Iterator[Finding]:
    if cuda == "none":
        yield f"image {image} has a CPU build, but the experiment is to use a GPU", "name an image built with CUDA"
    elif cuda and driver is not None and int(cuda.partition(".")[0]) > driver.cuda[0]:
        oldest = OLDEST_DRIVER.get(int(cuda.partition(".")[0]))
        newer = f"update it to {oldest} or newer" if oldest else "update the driver"
        yield (
            f"image {image} needs CUDA {cuda}, driver {driver.version} supports CUDA {driver.cuda[0]}.{driver.cuda[1]}",
            f"{newer}, or use an image for CUDA {driver.cuda[0]}",
        )


def read_driver() -> Driver | None:
    """The host's driver by NVML; None where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
            return Driver(str(pynvml.nvmlSystemGetDriverVersion()), (cuda // 1000, cuda % 1000 // 10))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
