"""The estimate for machines without a meter: CPU time of the workload's processes × a stated power per busy core."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_llem.energy.meter import CounterRead, Device, PowerRead, Sampler, Scope, Source
from pytest_llem.energy.process_tree import ProcessTree
from pytest_llem.errors import MeterError

WATTS_PER_CORE = 3.75
"""W per busy core. AMD's data sheet of the EPYC 9654: 360 W for 96 cores, all busy. Other server CPUs lie between 2 and
8 W; memory, fans and conversion losses are not in it. It gives the order of magnitude, and sound comparisons between
runs on the same machine; no more."""
WATTS_VARIABLE = "LLEM_CPU_WATTS_PER_CORE"


def watts_per_core() -> float:
    """The stated power: the environment's, else the default; MeterError if it is not a positive number."""
    raw = os.environ.get(WATTS_VARIABLE)
    if raw is None:
        return WATTS_PER_CORE
    try:
        watts = float(raw)
    except ValueError:
        watts = float("nan")
    if not 0 < watts < 1000:
        raise MeterError(
            f"{WATTS_VARIABLE}={raw!r} is not a power in watts", hint=f"a positive number; default {WATTS_PER_CORE}"
        )
    return watts


class CpuEstimateMeter:
    """Always there on Linux, never a measurement."""

    name = "cpu-estimate"
    source: Source = "cpu_estimate"
    scope: Scope = "host"
    measured = False
    bracket_s = 0.1
    reads_disturb = False
    method = "counter_interpolated"

    def devices(self) -> Sequence[Device]:
        if not Path("/proc/self/stat").exists():
            raise MeterError("no /proc: CPU time of other processes cannot be read", hint="this meter needs Linux")
        name = cpu_model() or platform.machine() or "CPU"
        return [Device(uuid="cpu", name=name, extra={"watts_per_core": str(watts_per_core())})]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        return CpuEstimateSampler(watts_per_core(), pid)


class CpuEstimateSampler(Sampler):
    """Joules of one process tree since it was first followed."""

    def __init__(self, watts: float, pid: int | None) -> None:
        self._watts = watts
        self._tree = ProcessTree()
        if pid is not None:
            self.follow(pid)

    def counter(self, device: Device) -> CounterRead | None:
        before = time.monotonic()
        cpu_s = self._tree.cpu_s()
        return CounterRead(before, time.monotonic(), cpu_s * self._watts)

    def power(self, device: Device, *, full: bool) -> PowerRead | None:
        """Only the tree's resident memory is known, and only worth its price now and then."""
        if not full:
            return None
        return PowerRead(time.monotonic(), None, memory_bytes=self._tree.resident_bytes())

    def follow(self, pid: int) -> None:
        self._tree.follow(pid)


def cpu_model() -> str | None:
    """What Linux calls this machine's CPU; None where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
