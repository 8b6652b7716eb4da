"""Containers that a run leaves behind: labelled with who started them, and removed once that process is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_llem.processes import is_dead

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "llem.run"
CELL_LABEL = "llem.cell"
OWNER_LABEL = "llem.pid"
_GOING_S = 10.0  # how long a removal that is under way is waited for


def sweep_dead_containers(client: DockerClient) -> list[str]:
    """Remove every container whose run is dead; returns their names. Those of living runs are left alone."""
    return [name for name, owner in _labelled(client).items() if is_dead(owner) and remove(client, name)]


def sweep_own_containers(client: DockerClient, owner: str) -> list[str]:
    """Remove every container that the process with this identity has started; returns their names."""
    return [name for name, label in _labelled(client).items() if label == owner and remove(client, name)]


def remove(client: DockerClient, name: str) -> bool:
    """Kill and remove a container with its anonymous volumes; False if it was already gone or going."""
    from docker.errors import APIError, NotFound

    try:
        client.api.remove_container(name, force=True, v=True)
        return True
    except NotFound:
        return False
    except APIError as error:
        if error.status_code != 409 or "already in progress" not in str(error.explanation):
            raise
    end = time.monotonic() + _GOING_S
    while time.monotonic() < end and client.api.containers(all=True, filters={"name": f"^/{name}$"}):
        time.sleep(0.05)
    return False


def _labelled(client: DockerClient) -> dict[str, str]:
    """Name and owner of every container of ours. The plain listing: one call, and none can vanish in between."""
    listed = client.api.containers(all=True, filters={"label": [RUN_LABEL, OWNER_LABEL]})
    return {entry["Names"][0].lstrip("/"): entry["Labels"][OWNER_LABEL] for entry in listed if entry["Names"]}
