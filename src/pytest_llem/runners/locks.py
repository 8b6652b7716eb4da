"""One experiment at a time on each physical device, among all processes of the host.

The kernel frees a lock when its holder dies, however it dies. Locks are keyed by UUID, so that index games with
``CUDA_VISIBLE_DEVICES`` cannot fool them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from pytest_llem.errors import LlemError, RunnerError

_POLL_S = 0.1


def default_lock_dir() -> Path:
    """A folder that every user of the host shares, whatever TMPDIR says: job schedulers give each job its own."""
    shared = Path("/tmp")
    return (shared if os.access(shared, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())) / "pytest-llem-locks"


class _Hold(NamedTuple):
    """Who holds a lock of this process, and whether it lends it to what begins before it ends."""

    thread: int
    lent: bool


_holds: dict[tuple[Path, str], _Hold] = {}  # by folder and name


@contextlib.contextmanager
def hold(
    names: Sequence[str],
    count: int,
    folder: Path,
    waiting: Callable[[], None] = lambda: None,
    *,
    lend: bool = False,
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Hold the locks of ``count`` of the devices ``names``, whichever are free first; waits as long as it takes.

    Yields the devices held, in the order of ``names``, and the seconds waited. All are taken together under one mutex,
    or none, so that two experiments that each want several devices cannot block each other. ``lend``: what this thread
    wants to hold meanwhile is taken from these. Raises LlemError where it would wait for itself."""
    if count > len(names):
        raise RunnerError(
            f"the experiment needs {count} devices, {len(names)} can be used",
            hint="look at CUDA_VISIBLE_DEVICES and --llem-gpus",
        )
    start, folder = time.monotonic(), folder.absolute()
    borrowed, free = _within(names, count, folder)
    if borrowed:
        with _noted(borrowed, folder, lend=False):
            yield borrowed, 0.0
        return
    held = _wait(free, count, folder, waiting)
    try:
        with _noted(tuple(held), folder, lend=lend):
            yield tuple(held), time.monotonic() - start
    finally:
        for lock in held.values():
            lock.release()


def _within(names: Sequence[str], count: int, folder: Path) -> tuple[tuple[str, ...], list[str]]:
    """``count`` devices to borrow from what this thread holds, if it lends any, and those of ``names`` that it does not
    hold; raises LlemError where it would wait for itself for ever."""
    thread = threading.get_native_id()  # not of a parent that has forked
    mine = {name: entry for name in names if (entry := _holds.get((folder, name))) and entry.thread == thread}
    lent = tuple(name for name, entry in mine.items() if entry.lent)
    free = [name for name in names if name not in mine]
    if lent and len(lent) < count:  # waiting for more while holding some is how two wait for each other
        raise LlemError(
            f"{count} devices are needed, this test has taken {len(lent)} for itself: {', '.join(lent)}",
            hint="leave llem_gpu out of a test that needs several",
        )
    if not lent and len(free) < count:
        raise LlemError(
            f"this test holds the device already: {', '.join(mine)}",
            hint="one measurement cannot lie inside another: let the llem_measure block end first",
        )
    return lent[:count], free


@contextlib.contextmanager
def _noted(names: Sequence[str], folder: Path, *, lend: bool) -> Iterator[None]:
    """These are held by this thread, until the body ends."""
    keys = [(folder, name) for name in names]
    before = {key: _holds[key] for key in keys if key in _holds}
    _holds.update(dict.fromkeys(keys, _Hold(threading.get_native_id(), lend)))
    try:
        yield
    finally:
        for key in keys:
            del _holds[key]
        _holds.update(before)


def _wait(names: Sequence[str], count: int, folder: Path, waiting: Callable[[], None]) -> dict[str, FileLock]:
    """The locks of ``count`` of ``names``, as soon as there are so many free."""
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
    return held


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
