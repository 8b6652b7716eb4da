"""CPU time and memory of a process and all its descendants, from /proc, also of those that have ended."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """The part of /proc/PID/stat that matters here (proc_pid_stat(5))."""

    parent: int
    own_s: float  # utime + stime
    children_s: float  # cutime + cstime: children that ended and were waited for


def read_stat(pid: int, proc: Path = Path("/proc")) -> Stat | None:
    """None when there is no such process any more."""
    try:
        raw = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()  # the command's name may itself hold spaces and brackets
    ticks = [int(field) for field in fields[11:15]]
    return Stat(int(fields[1]), (ticks[0] + ticks[1]) * TICK_S, (ticks[2] + ticks[3]) * TICK_S)


def own_cpu_s(pid: int, stat: Stat) -> float:
    """CPU time of a living process (threads that ended included), in nanoseconds' steps where the kernel lets us.

    ``(~pid << 3) | 2`` is the kernel's number for a process's CPU clock: what clock_getcpuclockid(3) returns. The
    fields of /proc/PID/stat only step every 10 ms, which would blur a short window.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return stat.own_s


class ProcessTree:
    """Cumulative CPU time of a tree since :meth:`follow`. It never goes backwards."""

    def __init__(self) -> None:
        self._members: dict[int, float] = {}  # pid -> CPU seconds when last seen, waited-for children included
        self._parents: dict[int, int] = {}  # every process of the machine, read once
        self._root: int | None = None
        self._retired_s = 0.0
        self._total_s = 0.0

    def follow(self, pid: int) -> None:
        """Count ``pid`` and its descendants from now on. Their CPU time until now is left out."""
        self._total_s = self.cpu_s()
        self._members, self._parents, self._root = {}, {}, pid
        self._retired_s = 0.0
        self._retired_s = self._total_s - self._sum()

    def cpu_s(self) -> float:
        """CPU seconds of the tree. A new descendant is found here, with all that it has used since its start."""
        if self._root is not None:
            self._total_s = max(self._total_s, self._sum())
        return self._total_s

    def resident_bytes(self) -> int:
        """Resident memory of all living members; pages that they share are counted for each."""
        total = 0
        for pid in self._members:
            try:
                total += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE_BYTES
            except (OSError, IndexError):
                continue  # it just ended
        return total

    def _sum(self) -> float:
        self._find_members()
        ended = []
        for pid in self._members:
            stat = read_stat(pid)
            if stat is None:
                ended.append(pid)
            else:
                self._members[pid] = own_cpu_s(pid, stat) + stat.children_s
                self._parents[pid] = stat.parent  # another one, if its parent has ended
        self._retire(ended)
        return self._retired_s + sum(self._members.values())

    def _retire(self, ended: list[int]) -> None:
        """Members that ended: the figures of an ancestor who waited for them hold their time, else it is kept here."""
        last_s = {pid: self._members.pop(pid) for pid in ended}
        for pid, seconds in last_s.items():
            ancestor = self._parents.get(pid)
            while ancestor in last_s:  # ended in the same moment, and handed on what it had been handed
                ancestor = self._parents.get(ancestor)
            if ancestor not in self._members:
                self._retired_s += seconds
        for pid in ended:
            self._parents.pop(pid, None)

    def _find_members(self) -> None:
        """Add new descendants. Only processes not seen before are read, so this is cheap on a busy host too."""
        living = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 (scandir objects cost)
        for pid in self._parents.keys() - living - self._members.keys():
            del self._parents[pid]
        for pid in living - self._parents.keys():
            stat = read_stat(pid)
            if stat is not None:
                self._parents[pid] = stat.parent
        if self._root in living:
            self._members.setdefault(self._root, 0.0)
        grew = True
        while grew:
            new = [p for p, parent in self._parents.items() if parent in self._members and p not in self._members]
            self._members.update(dict.fromkeys(new, 0.0))
            grew = bool(new)
