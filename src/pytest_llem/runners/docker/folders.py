"""What of the host a container sees, and as whom: folders at their own paths, and a user who may use them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import Engine
from pytest_llem.runners.hub import hub_cache

NOBODY = 65534
IMAGE_FOLDERS = frozenset(
    {"/", "/etc", "/opt", "/tmp", "/usr", "/var"}
)  # mounting over these would hide the image's own


@dataclass(frozen=True)
class Binding:
    """A folder of the host, mounted at the same path, so that a path means the same on both sides."""

    path: Path
    writable: bool = False


def hub_token(environment: Mapping[str, str] = os.environ) -> str | None:
    """The hub's token, from the environment or from where ``hf auth login`` puts it; None if there is none."""
    if environment.get("HF_TOKEN"):
        return environment["HF_TOKEN"].strip()
    path = environment.get("HF_TOKEN_PATH") or hub_cache(environment).with_name("token")
    try:
        return Path(path).expanduser().read_text().strip() or None
    except OSError:
        return None


def bindings(launch: Launch, cache: Path, more: Sequence[Path] = ()) -> list[Binding]:
    """The folders of one launch. The hub's cache is writable only where a download is needed."""
    found = [Binding(launch.exchange, writable=True)]
    wanted = [*launch.read_only, *more]
    if launch.base_folder:
        wanted.append(Path(launch.base_folder))  # the worker goes there
    hiding = {cache, *map(Path, IMAGE_FOLDERS)}
    found += [Binding(path) for path in dict.fromkeys(wanted) if path not in hiding]
    if launch.network:
        cache.mkdir(parents=True, exist_ok=True)
    if cache.is_dir():
        found.append(Binding(cache, writable=launch.network))
    return found


def container_user(engine: Engine, folders: Sequence[Binding]) -> tuple[int, int]:
    """User and group inside the container, such that its files are the caller's and it is not root.

    When root calls, it is ``nobody``, to whom the exchange folder is lent; but root without any capability where nobody
    could not do the work: to write into the hub's cache, or to read a folder that is root's alone.
    """
    if engine.rootless:
        return 0, 0  # who is the calling user on the host
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    _exchange, *others = folders
    if all(not folder.writable and _open_to_all(folder.path) for folder in others):
        return NOBODY, NOBODY
    return 0, 0


def _open_to_all(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # that it is missing is for the engine to say
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return mode & needed == needed


def lend(folder: Path, user: int, group: int) -> None:
    """Give a folder and all in it to another user; only root can, and only root needs to."""
    if os.getuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, group, follow_symlinks=False)
