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


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # somebody else made it, and made it open
            folder.chmod(0o1777)
    except OSError as error:
        raise RunnerError(
            f"{folder}: the folder for locks cannot be made: {error}", hint="choose another with --llem-lock-dir=DIR"
        ) from error


def _lock(folder: Path, name: str) -> FileLock:
    return FileLock(folder / f"{name.replace('/', '_')}.lock", mode=0o666)


@contextlib.contextmanager
def hold(
    names: Sequence[str], count: int, folder: Path, waiting: Callable[[float], None] = lambda seconds: None
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Hold the locks of ``count`` of the devices ``names``, whichever are free first; waits as long as it takes.

    Yields the devices held, in the order of ``names``, and the seconds waited. All are taken together under one mutex,
    or none, so that two experiments that each want several devices cannot block each other."""
    if count > len(names):
        raise RunnerError(
            f"the experiment needs {count} devices, {len(names)} can be used",
            hint="look at CUDA_VISIBLE_DEVICES and --llem-gpus",
        )
    _prepare(folder)
    start = time.monotonic()
    while not (held := _try(names, count, folder)):
        waiting(time.monotonic() - start)
        time.sleep(_POLL_S)
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
    except PermissionError as error:
        where = f"{error.filename}: {error.strerror}"
        raise RunnerError(where, hint="choose another folder with --llem-lock-dir") from None
    for lock in held.values():
        lock.release()
    return {}
