"""What of the host a container sees, and as whom: folders at their own paths, and a user who may use them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.hub import hub_cache

ROOT, NOBODY = "0:0", "65534:65534"
_OF_THE_IMAGE = {"/", "/etc", "/opt", "/tmp", "/usr", "/var"}  # mounting over these would hide the image's own


def hub_token(environment: Mapping[str, str] = os.environ) -> str | None:
    """The hub's token, from the environment or from where ``hf auth login`` puts it; None if there is none."""
    if environment.get("HF_TOKEN"):
        return environment["HF_TOKEN"].strip()
    path = environment.get("HF_TOKEN_PATH") or hub_cache(environment).with_name("token")
    try:
        return Path(path).expanduser().read_text().strip() or None
    except OSError:
        return None


def shared_folders(launch: Launch, cache: Path, more: Sequence[Path] = ()) -> dict[Path, bool]:
    """Each folder to be mounted at its own path, so that a path means the same on both sides, and whether the worker
    may write there: into the exchange folder, and into the hub's cache where a download is needed. ``more`` is what a
    user asked for, even where it hides the image's own."""
    start = [Path(launch.base_folder)] if launch.base_folder else []  # the worker goes there
    hiding = {str(cache), *_OF_THE_IMAGE}
    found = {launch.exchange: True}
    found |= {path: False for path in (*launch.read_only, *start) if str(path) not in hiding}
    found |= dict.fromkeys(more, False)
    if launch.network:
        cache.mkdir(parents=True, exist_ok=True)
    if cache.is_dir():
        found[cache] = launch.network
    return found


def container_user(engine: Engine, folders: Mapping[Path, bool]) -> str:
    """``UID:GID`` inside the container, such that its files are the caller's and it is not root.

    When root calls, it is ``nobody``, to whom the exchange folder is lent; but root without any capability where nobody
    could not do the work: to write into the hub's cache, or to read a folder that is root's alone.
    """
    if engine.rootless:
        return ROOT  # who is the calling user on the host
    if os.getuid() != 0:
        return caller()
    _exchange, *others = folders.items()
    return NOBODY if all(not writable and _open_to_all(path) for path, writable in others) else ROOT


def caller() -> str:
    """``UID:GID`` of this process."""
    return f"{os.getuid()}:{os.getgid()}"


def _open_to_all(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # that it is missing is for the engine to say
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return mode & needed == needed


def lend(folder: Path, user: str) -> None:
    """Give a folder and all in it to another user, ``UID:GID``; only root can, and only root needs to."""
    if os.getuid() == 0:
        uid, gid = map(int, user.split(":"))
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
