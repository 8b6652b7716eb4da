"""One experiment at a time on each physical device, among all processes of the host.

The kernel frees a lock when its holder dies, however it dies. Locks are keyed by UUID, so that index games with
``CUDA_VISIBLE_DEVICES`` cannot fool them.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llem.errors import RunnerError

_POLL_S = 0.1


def default_lock_dir() -> Path:
    """A folder that every user of the host shares."""
    return Path(tempfile.gettempdir()) / "pytest-llem-locks"


@contextlib.contextmanager
def hold(
    names: Sequence[str], count: int, folder: Path, waiting: Callable[[], None] = lambda: None
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Hold the locks of ``count`` of the devices ``names``, whichever are free first; waits as long as it takes.

    Yields the devices held, in the order of ``names``, and the seconds waited. All are taken together under one mutex,
    or none, so that two experiments that each want several devices cannot block each other."""
    if count > len(names):
        raise RunnerError(
            f"the experiment needs {count} devices, {len(names)} can be used",
            hint="look at CUDA_VISIBLE_DEVICES and --llem-gpus",
        )
    start = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # somebody else made it, and made it open
            folder.chmod(0o1777)
        while not (held := _try(names, count, folder)):
            waiting()
            time.sleep(_POLL_S)
    except OSError as error:
        raise RunnerError(
            f"{error.filename or folder}: no lock can be held there: {error.strerror or error}",
            hint="choose another folder with --llem-lock-dir=DIR",
        ) from error
    try:
        yield tuple(held), time.monotonic() - start
    finally:
        for lock in held.values():
            lock.release()


def _try(names: Sequence[str], count: int, folder: Path) -> dict[str, FileLock]:
    """Take ``count`` free locks at once, or none."""
    held: dict[str, FileLock] = {}
    try:
        with _lock(folder, "allocation").acquire(timeout=5):
            for name in names:
                with contextlib.suppress(Timeout):
                    lock = _lock(folder, name)
                    lock.acquire(timeout=0)
                    held[name] = lock
                if len(held) == count:
                    return held
    except Timeout:
        pass
    for lock in held.values():
        lock.release()
    return {}


def _lock(folder: Path, name: str) -> FileLock:
    return FileLock(folder / f"{name.replace('/', '_')}.lock", mode=0o666)
