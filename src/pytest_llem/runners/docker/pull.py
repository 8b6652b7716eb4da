"""Fetching an image that is missing, with a word now and then on how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_llem.runners.docker.causes import explain
from pytest_llem.runners.docker.images import Finding

if TYPE_CHECKING:
    from docker import DockerClient

NOTIFY_EVERY_S = 1.0
_DONE = ("Pull complete", "Already exists")


def pull(client: DockerClient, image: str, notify: Callable[[str], None]) -> list[Finding]:
    """Pull an image; returns what went wrong, if anything."""
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag
    from requests.exceptions import RequestException

    repository, tag = parse_repository_tag(image)
    layers: dict[str, bool] = {}
    notify(f"pulling {image}; this may take minutes")
    told = time.monotonic()
    try:
        for event in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise DockerException(event["error"])
            if (status := event.get("status")) == "Pulling fs layer" or status in _DONE:
                layers[event["id"]] = status in _DONE
            if time.monotonic() - told >= NOTIFY_EVERY_S:
                notify(f"pulling {image}: {sum(layers.values())} of {len(layers)} layers are here")
                told = time.monotonic()
    except (DockerException, RequestException) as error:
        found = explain(error, f"image {image} could not be pulled")
        return [(found.message, found.hint or f"try it by hand: docker pull {image}")]
    return []
