"""Processes that this one started, directly or through others: found, and ended for certain."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_POLL_S = 0.02


def descendants(root: int) -> tuple[int, ...]:
    """Ids of all living processes below ``root``, Python's own resource tracker apart: it ends with its parent."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return tuple(sorted(pid for pid in found if not _is_tracker(pid)))


def started_at(pid: int) -> int | None:
    """When the process started, in ticks since boot: an id alone may by now be another's. None if it has ended."""
    found = _stat(pid)
    return found[1] if found else None


def end_all(pids: Iterable[int], grace_s: float) -> tuple[int, ...]:
    """Wait for processes to end, then SIGTERM, then SIGKILL, ``grace_s`` each; returns those that needed force."""
    forced: tuple[int, ...] = ()
    left = _wait(tuple(pids), grace_s)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if left:
            forced = forced or left
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            left = _wait(left, grace_s)
    return forced


def peak_resident_bytes(pids: Iterable[int]) -> int:
    """Largest resident memory that each process ever had (VmHWM), summed."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024
    return total


def _wait(pids: tuple[int, ...], seconds: float) -> tuple[int, ...]:
    end = time.monotonic() + seconds
    while True:
        multiprocessing.active_children()  # takes note of those of our own that ended
        pids = tuple(pid for pid in pids if _parent(pid) is not None)
        if not pids or time.monotonic() >= end:
            return pids
        time.sleep(_POLL_S)


def _parent(pid: int) -> int | None:
    found = _stat(pid)
    return found[0] if found else None


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent and start (proc_pid_stat(5)); None for a process that has ended, or waits only to be buried."""
    try:
        raw = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()  # the name before may hold brackets and spaces
    return None if fields[0] in (b"Z", b"X") else (int(fields[1]), int(fields[19]))


def _is_tracker(pid: int) -> bool:
    try:
        return b"multiprocessing.resource_tracker" in (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
