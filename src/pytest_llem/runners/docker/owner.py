"""Who started a container, written so that it can be told later whether that process is still alive.

A pid alone is not enough: it may be reused, belong to another pid namespace, or date from before a reboot.
"""

from __future__ import annotations

import os
from pathlib import Path


def own_identity() -> str:
    """``PID START NAMESPACE BOOT`` of this process: for the label ``llem.pid``."""
    return f"{os.getpid()} {start_ticks(os.getpid())} {_namespace()} {_boot()}"


def is_dead(identity: str) -> bool:
    """Whether the process of that identity is surely gone. One in another pid namespace cannot be seen: not sure."""
    try:
        pid, start, namespace, boot = identity.split()
    except ValueError:
        return False
    if boot != _boot():
        return True
    return namespace == _namespace() and start_ticks(int(pid)) != int(start)


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); None if there is none."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else int(fields[18])


def _namespace() -> str:
    return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
