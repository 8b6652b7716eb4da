"""Before the first container: everything that would stop the experiments, found at once, each with its fix."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import PreflightError, RunnerError
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.causes import explain
from pytest_llem.runners.docker.client import OLDEST_API, Engine
from pytest_llem.runners.docker.gpus import request_gpus
from pytest_llem.runners.docker.images import Driver, Finding, check_labels, read_driver
from pytest_llem.runners.docker.probe import examine
from pytest_llem.runners.docker.pull import pull

if TYPE_CHECKING:
    from docker import DockerClient

GIB = 2**30
FREE_FOR_RUNNING_BYTES = 1 * GIB
FREE_FOR_PULLING_BYTES = 30 * GIB  # an image with CUDA and an inference library, compressed and unpacked
FREE_FOR_EXCHANGE_BYTES = GIB // 8
Probe = Callable[[str, Sequence[str], Path], bytes]  # image, GPUs, exchange folder -> what it printed


@dataclass(frozen=True)
class Demand:
    """What one image will be asked to do."""

    image: str
    gpus: tuple[str, ...]  # all that any of its experiments uses


@dataclass(frozen=True)
class Host:
    """What the checks look at."""

    client: DockerClient
    engine: Engine
    worker: str
    probe: Probe
    notify: Callable[[str], None]


def demands(launches: Sequence[Launch], image_of: Callable[[str], str]) -> list[Demand]:
    """One demand for each image."""
    wanted: dict[str, dict[str, None]] = {}
    for launch in launches:
        wanted.setdefault(image_of(launch.backend), {}).update(dict.fromkeys(launch.gpu_uuids))
    return [Demand(image, tuple(gpus)) for image, gpus in wanted.items()]


def check(host: Host, wanted: Sequence[Demand]) -> None:
    """Raise PreflightError with all that is wrong. Missing images are pulled once nothing else stands against it."""
    driver = read_driver() if any(demand.gpus for demand in wanted) else None
    present = {demand.image: _labels(host.client, demand.image) for demand in wanted}
    missing = [image for image, labels in present.items() if labels is None]
    findings = [*_check_engine(host.engine), *_check_gpu_access(host.engine, wanted)]
    findings += _check_disk(host.engine.root, FREE_FOR_PULLING_BYTES if missing else FREE_FOR_RUNNING_BYTES)
    findings += _check_disk(Path(tempfile.gettempdir()), FREE_FOR_EXCHANGE_BYTES)
    for image in missing:
        findings += _check_pullable(host.client, image)
    findings += _check_images(wanted, present, driver)
    _raise(findings)
    for image in missing:
        _raise(pull(host.client, image, host.notify))
        present[image] = _labels(host.client, image)
    _raise(_check_images([demand for demand in wanted if demand.image in missing], present, driver))
    _raise([finding for demand in wanted for finding in _look_inside(host, demand)])


def _raise(findings: Sequence[Finding]) -> None:
    if findings:
        raise PreflightError(list(dict.fromkeys(findings)))


def _labels(client: DockerClient, image: str) -> dict[str, str] | None:
    """An image's labels, or None if it is not here."""
    from docker.errors import ImageNotFound

    try:
        return dict(client.images.get(image).labels)
    except ImageNotFound:
        return None


def _check_engine(engine: Engine) -> Iterator[Finding]:
    if engine.api < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        yield (
            f"Docker Engine {engine.version} has API {engine.api_version}; {oldest} is the oldest that will do",
            "update Docker to 19.03 or newer",
        )


def _check_gpu_access(engine: Engine, wanted: Sequence[Demand]) -> Iterator[Finding]:
    try:
        for demand in wanted:
            request_gpus(engine, demand.gpus)
    except RunnerError as error:
        yield error.message, error.hint or ""


def _check_disk(folder: Path, needed: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # not this host's folder, or closed to us: the probe shows whether it works
    if free < needed:
        yield (
            f"{folder} has {free / GIB:.1f} GiB free, {needed / GIB:.3g} GiB are needed",
            "free some: `docker system df` shows what Docker uses, `docker image prune` removes unused images",
        )


def _check_pullable(client: DockerClient, image: str) -> Iterator[Finding]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client.images.get_registry_data(image)
    except (DockerException, RequestException) as error:
        reason = explain(error, "asking its registry").message
        yield (
            f"image {image} is not here and cannot be pulled: {reason}",
            "build it (docker/build.sh BACKEND), or name another: --llem-image=BACKEND=IMAGE or LLEM_IMAGE_<BACKEND>",
        )


def _check_images(
    wanted: Sequence[Demand], present: dict[str, dict[str, str] | None], driver: Driver | None
) -> list[Finding]:
    findings: list[Finding] = []
    for demand in wanted:
        labels = present[demand.image]
        if labels is not None:
            findings += check_labels(demand.image, labels, driver, gpus=bool(demand.gpus))
    return findings


def _look_inside(host: Host, demand: Demand) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="llem-") as exchange:
        return list(
            examine(
                demand.image,
                demand.gpus,
                host.worker,
                Path(exchange),
                lambda folder: host.probe(demand.image, demand.gpus, folder),
            )
        )
