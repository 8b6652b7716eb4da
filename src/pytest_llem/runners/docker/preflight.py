"""Before the first container: everything that would stop an experiment, found at once, each with its fix."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.energy import nvml
from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.client import DISK_HINT, OLDEST_API, Engine, explain, failures
from pytest_llem.runners.docker.gpus import device_requests
from pytest_llem.runners.docker.images import Finding, check_labels, pull

if TYPE_CHECKING:
    from docker import DockerClient

GIB = 2**30
FREE_FOR_RUNNING_BYTES = 1 * GIB
FREE_FOR_PULLING_BYTES = 30 * GIB  # an image with CUDA and an inference library, compressed and unpacked
FREE_FOR_EXCHANGE_BYTES = GIB // 8


def check_host(
    client: DockerClient, engine: Engine, image: str, gpus: Sequence[str], notify: Callable[[str], None]
) -> list[Finding]:
    """What is wrong before a container is started. A missing image is pulled once nothing else stands against it."""
    driver = nvml.driver() if gpus else None
    labels = _labels(client, image)
    findings = [*_check_engine(engine), *_check_gpu_access(engine, gpus)]
    findings += _check_disk(engine.root, FREE_FOR_RUNNING_BYTES if labels is not None else FREE_FOR_PULLING_BYTES)
    findings += _check_disk(Path(tempfile.gettempdir()), FREE_FOR_EXCHANGE_BYTES)
    if labels is None:
        findings += _check_pullable(client, image)
        if findings or (findings := pull(client, image, notify)):
            return findings
        labels = _labels(client, image) or {}
    return [*findings, *check_labels(image, labels, driver, gpus=bool(gpus))]


def _labels(client: DockerClient, image: str) -> dict[str, str] | None:
    """An image's labels, or None if it is not here."""
    from docker.errors import ImageNotFound

    try:
        return dict(client.images.get(image).labels)
    except ImageNotFound:
        return None


def _check_engine(engine: Engine) -> Iterator[Finding]:
    if tuple(map(int, engine.api_version.split("."))) < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        yield (
            f"Docker Engine {engine.version} has API {engine.api_version}; {oldest} is the oldest that will do",
            "update Docker to 19.03 or newer",
        )


def _check_gpu_access(engine: Engine, gpus: Sequence[str]) -> Iterator[Finding]:
    try:
        device_requests(engine, gpus)
    except RunnerError as error:
        yield error.message, error.hint or ""


def _check_disk(folder: Path, needed: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # not this host's folder, or closed to us: the look inside shows whether it works
    if free < needed:
        yield f"{folder} has {free / GIB:.1f} GiB free, {needed / GIB:.3g} GiB are needed", DISK_HINT


def _check_pullable(client: DockerClient, image: str) -> Iterator[Finding]:
    try:
        client.images.get_registry_data(image)
    except failures() as error:
        reason = explain(error, "asking its registry").message
        yield (
            f"image {image} is not here and cannot be pulled: {reason}",
            "build it (docker/build.sh BACKEND), or name another: --llem-image=BACKEND=IMAGE or LLEM_IMAGE_<BACKEND>",
        )
