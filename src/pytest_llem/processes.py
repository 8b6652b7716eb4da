"""Living processes, as Linux tells in /proc: whose they are, when they started, how much memory they held."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FOLDER = "llem-"  # how the names of temporary folders begin
_BOOT_DIGITS = 8


class Process(NamedTuple):
    """A process that has not ended. ``started``: in ticks since boot, because a pid alone may by now be another's."""

    pid: int
    parent: int
    session: int
    started: int


def look_up(pid: int) -> Process | None:
    """None where it has ended, or only waits to be buried (proc_pid_stat(5))."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, parent, _, session, *more = raw[raw.rindex(b")") + 2 :].split()  # the name before may hold brackets
    return None if state in (b"Z", b"X") else Process(pid, int(parent), int(session), int(more[15]))


def started_at(pid: int) -> int | None:
    """When it started, in ticks since boot; None if there is no such process."""
    found = look_up(pid)
    return found.started if found else None


def session_members(session: int) -> list[int]:
    """The pids of a session's living processes."""
    return [process.pid for process in _living() if process.session == session]


def descendants(*roots: int) -> set[int]:
    """The pids of all living processes below ``roots``."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process in _living():
        children[process.parent].append(process.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        below = children.pop(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def family(root: int) -> set[int]:
    """The pids of ``root``'s session and of all below: in a container these may be in other sessions."""
    members = {root, *session_members(root)}
    return members | descendants(*members)


def kill(pids: Iterable[int], number: int) -> None:
    """Send a signal to each that is still there and ours."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def status_bytes(pid: int | str, field: str) -> int:
    """A figure of /proc/PID/status that is given in kB, such as ``VmHWM``; raises OSError where there is none."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc/{pid}/status has no {field}")


def own_identity() -> str:
    """``PID START NAMESPACE BOOT`` of this process: for what it may leave behind, such as a container.

    A pid alone would not do: it may be reused, belong to another pid namespace, or date from before a reboot."""
    return f"{os.getpid()} {started_at(os.getpid())} {_namespace()} {_boot()}"


def is_dead(identity: str) -> bool:
    """Whether the process of that identity is surely gone. One in another pid namespace cannot be seen: not sure."""
    try:
        pid, start, namespace, boot = identity.split()
    except ValueError:
        return False
    if boot != _boot():
        return True
    return namespace == _namespace() and started_at(int(pid)) != int(start)


def temporary_prefix() -> str:
    """What the names of this process's temporary folders begin with, so that a later run can tell when to remove them.

    Names and not a file inside: there is no moment at which a folder has none."""
    return f"{FOLDER}{os.getpid()}_{started_at(os.getpid())}_{_namespace()}_{_boot()[:_BOOT_DIGITS]}_"


def left_behind(folder: Path) -> bool:
    """Whether the process that made a temporary folder is surely gone. One that was made in another pid namespace or
    under another boot is kept: it may be a living container's, or on a disk shared with another host."""
    try:
        pid, start, namespace, boot, _ = folder.name.removeprefix(FOLDER).split("_", 4)
        here = (namespace, boot) == (_namespace(), _boot()[:_BOOT_DIGITS])
        return here and started_at(int(pid)) != int(start)
    except ValueError:  # somebody else's
        return False


def _namespace() -> str:
    return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _living() -> list[Process]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [process for pid in pids if (process := look_up(pid))]
