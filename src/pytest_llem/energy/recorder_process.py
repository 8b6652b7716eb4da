"""The recorder process: ``python -m pytest_llem.energy.recorder_process`` reads meters and appends to a file.

It takes words on standard input, one a line: ``dense``, ``slow``, ``quiet``, ``follow PID``, ``stop``. It says
``ready`` on standard output once every device has been read, or ``error`` with a JSON object. It ends when standard
input is closed, which is also what happens when its host dies.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import select
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from io import FileIO
from typing import TypeVar

from pytest_llem.energy.choose import make_meter
from pytest_llem.energy.meter import Device, Historian, MeterInfo, Sampler
from pytest_llem.energy.record_format import Header, Kind, Pace, RecorderCost, line, slow_counter_pause_s
from pytest_llem.errors import LlemError

DENSE_S = (0.010, 0.030)
SHARP_S = (0.004, 0.014)
"""Time between two counter reads near an edge. Jittered: H200s step on a strict 100 ms grid, and reads at a fixed pace
would lock to it and see every step at the same phase. The second where the inside of a window is left in peace: all is
known from the steps around it, and between windows nobody is disturbed."""
POWER_S = {"dense": 0.07, "quiet": 0.07, "slow": 0.2}
HISTORY_S = {"dense": 0.2, "quiet": 2.1, "slow": math.inf}
"""Between two fetches of the samples that the driver keeps: 2.4 s of them on an H200, for half a millisecond in which
the driver launches nothing. So windows of up to two seconds have none inside."""
FULL_EVERY_S = 0.5
COST_EVERY_S = 2.0

Read = TypeVar("Read")


@dataclass
class _Task:
    """Something done again and again; ``run`` returns how long to wait until the next time (s)."""

    run: Callable[[], float]
    due: float = 0.0


class Loop:
    """What to read next, and what reading has cost."""

    def __init__(self, sampler: Sampler, devices: Sequence[Device], file: FileIO, *, reads_disturb: bool) -> None:
        self._sampler = sampler
        self._devices = devices
        self._alive = set(range(len(devices)))
        self._file = file
        self._reads_disturb = reads_disturb
        self._random = random.Random()
        self._pace: Pace = "slow"
        self._counters = {device: _Task(partial(self._counter, device)) for device in sorted(self._alive)}
        self._power, self._history = _Task(self._read_power), _Task(self._fetch_history, math.inf)
        self._others = [self._power, self._history, _Task(self._write_cost)]
        self._driver_keeps_power = False
        self._full_due = 0.0
        self._cost = RecorderCost()
        self._accounted, self._cpu_accounted = time.monotonic(), time.process_time()
        self._fetched = [self._accounted] * len(devices)  # time of the driver's last sample that is recorded

    def read_all(self) -> None:
        """Read every device once."""
        for task in (*self._counters.values(), self._power):
            self._do(task)

    def set_pace(self, pace: Pace) -> None:
        """Read at another pace. Where reads disturb nothing, the inside of a window is read as densely as its edges."""
        if pace == "quiet" and not self._reads_disturb:
            pace = "dense"
        if pace == self._pace:
            return
        self.cost()  # what came until now belongs to the old pace
        self._pace, now = pace, time.monotonic()
        self._write("pace", now, pace)
        if pace == "dense":
            self.read_all()
        else:
            for task in self._counters.values():
                task.due = math.inf if pace == "quiet" else now + self._counter_pause_s()
        if pace == "quiet":
            self._history.due = now + HISTORY_S[pace]
        else:
            self._do(self._history)

    def next_due(self) -> float:
        return min(task.due for task in (*self._counters.values(), *self._others))

    def work(self) -> None:
        """Do the one thing that has waited longest, so that commands are never kept waiting by many devices."""
        task = min((*self._counters.values(), *self._others), key=lambda task: task.due)
        if task.due <= time.monotonic():
            self._do(task)

    def finish(self) -> None:
        """One last read, so that the record reaches the end."""
        self.read_all()
        self._do(self._history)
        self._write_cost()
        self._write("end", time.monotonic())

    def cost(self) -> RecorderCost:
        """The cost until now; what came since the last call belongs to the present pace."""
        now, cpu, cost = time.monotonic(), time.process_time(), self._cost
        wall_s, cpu_s = now - self._accounted, cpu - self._cpu_accounted
        cost.wall_s += wall_s
        cost.cpu_s += cpu_s
        if self._pace == "slow":
            cost.slow_wall_s += wall_s
            cost.slow_cpu_s += cpu_s
        self._accounted, self._cpu_accounted = now, cpu
        return cost

    def _do(self, task: _Task) -> None:
        pause_s = task.run()
        task.due = time.monotonic() + pause_s

    def _counter(self, device: int) -> float:
        read = self._try(device, partial(self._sampler.counter, self._devices[device]))
        if read is None:  # the device is lost, or has no counter
            self._counters.pop(device, None)
            return math.inf
        self._cost.counter_reads += 1
        self._cost.counter_s += read.after - read.before
        self._write("e", device, *astuple(read))
        return self._counter_pause_s()

    def _counter_pause_s(self) -> float:
        if self._pace == "dense":
            return self._random.uniform(*(SHARP_S if self._reads_disturb else DENSE_S))
        mean_s = self._cost.mean_counter_read_s or 0.0
        return self._random.uniform(1.0, 1.2) * slow_counter_pause_s(mean_s, len(self._devices))

    def _read_power(self) -> float:
        begin = time.monotonic()
        full = self._full_due <= begin
        for device in sorted(self._alive):
            read = self._try(device, partial(self._sampler.power, self._devices[device], full=full))
            if read is not None:
                values = astuple(read)
                self._write("f" if full else "p", device, *(values if full else values[:3]))
        end = time.monotonic()
        self._cost.power_reads += 1
        self._cost.power_s += end - begin
        if full:
            self._full_due = end + FULL_EVERY_S
        # Where the driver's own samples will tell the power inside a window, only the other fields are read there.
        known_later = self._pace == "quiet" and self._driver_keeps_power
        return self._random.uniform(1.0, 1.2) * (FULL_EVERY_S if known_later else POWER_S[self._pace])

    def _fetch_history(self) -> float:
        sampler = self._sampler
        if not isinstance(sampler, Historian):
            return math.inf
        for device in sorted(self._alive):
            reads = self._try(device, partial(sampler.history, self._devices[device], self._fetched[device]))
            if reads:
                self._driver_keeps_power = True
                self._fetched[device] = reads[-1].time
                self._file.write(b"".join(line("h", device, read.time, read.instant_w) for read in reads))
        return HISTORY_S[self._pace]

    def _write_cost(self) -> float:
        self._write("c", *astuple(self.cost()))
        return COST_EVERY_S

    def _try(self, device: int, read: Callable[[], Read]) -> Read | None:
        """What a read gives. One that fails loses its device, and must not end the record."""
        try:
            return read()
        except Exception as error:  # a third party's meter may raise anything
            self._alive.discard(device)
            message = error.message if isinstance(error, LlemError) else f"{type(error).__name__}: {error}"
            self._write("x", device, time.monotonic(), message)
            return None

    def _write(self, kind: Kind, *values: object) -> None:
        self._file.write(line(kind, *values))  # unbuffered: it is on its way even if this process is killed now


def run(loop: Loop, sampler: Sampler) -> None:
    """Sample until told to stop or until standard input is closed."""
    waiting = b""
    while True:
        pause_s = max(0.0, loop.next_due() - time.monotonic())
        if select.select([0], [], [], pause_s)[0]:
            received = os.read(0, 4096)
            if not received:
                return
            *commands, waiting = (waiting + received).split(b"\n")
            for command in commands:
                match command.decode().split():
                    case ["dense" | "slow" | "quiet" as pace]:
                        loop.set_pace(pace)
                    case ["follow", pid]:
                        sampler.follow(int(pid))
                    case ["stop"]:
                        return
                    case _:
                        raise ValueError(f"unknown command {command!r}")
        loop.work()


def main() -> int:
    parser = argparse.ArgumentParser(description="Record power meters into a file; started by pytest-llem itself.")
    parser.add_argument("--meter", required=True)
    parser.add_argument("--devices", required=True, help="JSON")
    parser.add_argument("--file", required=True)
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()
    devices = tuple(Device(**device) for device in json.loads(arguments.devices))
    host = os.dup(1)  # standard output is for the host alone:
    os.dup2(2, 1)  # what the meters' libraries print goes to the log
    with FileIO(arguments.file, "w") as file:
        try:
            meter = make_meter(arguments.meter)
            sampler = meter.open(devices, arguments.pid)
            file.write(Header(MeterInfo.of(meter), devices, os.getpid()).encode())
        except LlemError as error:
            os.write(host, f"error {json.dumps({'message': error.message, 'hint': error.hint})}\n".encode())
            return 1
        loop = Loop(sampler, devices, file, reads_disturb=meter.reads_disturb)
        loop.read_all()
        os.write(host, b"ready\n")
        run(loop, sampler)
        loop.finish()
        sampler.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
