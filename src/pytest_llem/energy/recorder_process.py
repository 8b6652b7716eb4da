"""The recorder process: ``python -m pytest_llem.energy.recorder_process`` reads meters and appends to a file.

It takes words on standard input, one a line: ``dense``, ``slow``, ``quiet``, ``follow PID``, ``stop``. It says
``ready`` on standard output once every device has been read, or ``error`` with a JSON object. It ends when standard
input is closed, which is also what happens when its host dies.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import random
import select
import sys
import time
from collections.abc import Sequence
from io import FileIO

from pytest_llem.energy import record_format
from pytest_llem.energy.choose import make_meter
from pytest_llem.energy.meter import Device, Historian, MeterInfo, Sampler
from pytest_llem.energy.record_format import Header, Pace, RecorderCost, slow_counter_pause_s
from pytest_llem.errors import LlemError

DENSE_S = (0.010, 0.030)
SHARP_S = (0.004, 0.014)
"""Time between two counter reads near an edge. Jittered: H200s step on a strict 100 ms grid, and reads at a fixed pace
would lock to it and see every step at the same phase. The second where the inside of a window is left in peace: all is
known from the steps around it, and between windows nobody is disturbed."""
POWER_S = {"dense": 0.07, "quiet": 0.07, "slow": 0.2}
HISTORY_S = {"dense": 0.2, "quiet": 1.5, "slow": math.inf}
"""Between two fetches of the samples that the driver keeps: 2.4 s of them on an H200, for half a millisecond."""
FULL_EVERY_S = 0.5
COST_EVERY_S = 2.0


class Recording:
    """The sampling loop's state: what to read next, and what reading has cost."""

    def __init__(self, sampler: Sampler, devices: Sequence[Device], file: FileIO, *, reads_disturb: bool) -> None:
        self._sampler = sampler
        self._devices = devices
        self._alive = list(range(len(devices)))
        self._file = file
        self._reads_disturb = reads_disturb
        self._random = random.Random()
        self._pace: Pace = "slow"
        self._due: list[tuple[float, int]] = []  # (time, device) of counter reads
        self._power_due = self._full_due = self._cost_due = 0.0
        self._history_due = math.inf
        self._reads = {"counter": (0, 0.0), "power": (0, 0.0)}
        self._slow_cpu_s = self._slow_wall_s = 0.0
        self._started = self._mode_since = time.monotonic()
        self._cpu_before = self._mode_cpu = time.process_time()
        self._fetched = [self._started] * len(devices)  # time of the last sample of the driver's that is recorded

    def read_all(self) -> None:
        """Read every device once."""
        self._due = []
        for device in list(self._alive):
            self._counter(device)
        self._power()

    def set_pace(self, pace: Pace) -> None:
        """Read at another pace. Where reads disturb nothing, the inside of a window is read as densely as its edges."""
        if pace == "quiet" and not self._reads_disturb:
            pace = "dense"
        if pace == self._pace:
            return
        self._close_mode()
        self._pace = pace
        now = time.monotonic()
        self._write(record_format.encode_pace(now, pace))
        if pace == "quiet":
            self._due = []
            self._history_due = now + HISTORY_S[pace]
            return
        if pace == "dense":
            self.read_all()
        else:
            self._due = [(now + self._counter_pause_s(), device) for _, device in self._due]
            heapq.heapify(self._due)
        self._history()

    def next_due(self) -> float:
        return min([self._power_due, self._cost_due, self._history_due] + [due for due, _ in self._due[:1]])

    def work(self) -> None:
        """Do what is due: at most one counter, so that commands are never kept waiting by many devices."""
        now = time.monotonic()
        if self._due and self._due[0][0] <= now:
            self._counter(heapq.heappop(self._due)[1])
        if self._power_due <= now:
            self._power()
        if self._history_due <= now:
            self._history()
        if self._cost_due <= now:
            self._cost_due = now + COST_EVERY_S
            self._write(record_format.encode_cost(self.cost()))

    def finish(self) -> None:
        """One last read, so that the record reaches the end."""
        self.read_all()
        self._history()
        self._write(record_format.encode_cost(self.cost()))
        self._write(record_format.encode_end(time.monotonic()))

    def cost(self) -> RecorderCost:
        self._close_mode()
        counter, power = self._reads["counter"], self._reads["power"]
        return RecorderCost(
            cpu_s=time.process_time() - self._cpu_before,
            wall_s=time.monotonic() - self._started,
            slow_cpu_s=self._slow_cpu_s,
            slow_wall_s=self._slow_wall_s,
            counter_reads=counter[0],
            counter_s=counter[1],
            power_reads=power[0],
            power_s=power[1],
        )

    def _close_mode(self) -> None:
        now, cpu = time.monotonic(), time.process_time()
        if self._pace == "slow":
            self._slow_cpu_s += cpu - self._mode_cpu
            self._slow_wall_s += now - self._mode_since
        self._mode_since, self._mode_cpu = now, cpu

    def _counter(self, device: int) -> None:
        try:
            read = self._sampler.counter(self._devices[device])
        except Exception as error:  # a third party's meter may raise anything: one lost device must not end the record
            self._lose(device, error)
            return
        if read is None:
            return  # never due again: this device has no counter
        self._count("counter", read.after - read.before)
        self._write(record_format.encode_counter(device, read))
        heapq.heappush(self._due, (time.monotonic() + self._counter_pause_s(), device))

    def _counter_pause_s(self) -> float:
        if self._pace == "dense":
            return self._random.uniform(*(SHARP_S if self._reads_disturb else DENSE_S))
        reads, spent_s = self._reads["counter"]
        return self._random.uniform(1.0, 1.2) * slow_counter_pause_s(spent_s / reads, len(self._devices))

    def _power(self) -> None:
        begin = time.monotonic()
        full = self._full_due <= begin
        for device in list(self._alive):
            try:
                read = self._sampler.power(self._devices[device], full=full)
            except Exception as error:  # as above
                self._lose(device, error)
                continue
            if read is not None:
                self._write(record_format.encode_power(device, read, full=full))
        end = time.monotonic()
        self._count("power", end - begin)
        self._power_due = end + self._random.uniform(1.0, 1.2) * POWER_S[self._pace]
        if full:
            self._full_due = end + FULL_EVERY_S

    def _history(self) -> None:
        self._history_due = time.monotonic() + HISTORY_S[self._pace]
        if not isinstance(self._sampler, Historian):
            self._history_due = math.inf
            return
        for device in list(self._alive):
            try:
                reads = self._sampler.history(self._devices[device], self._fetched[device])
            except Exception as error:  # as above
                self._lose(device, error)
                continue
            if reads:
                self._fetched[device] = reads[-1].time
                self._write(record_format.encode_history(device, reads))

    def _count(self, kind: str, seconds: float) -> None:
        reads, spent_s = self._reads[kind]
        self._reads[kind] = (reads + 1, spent_s + seconds)

    def _lose(self, device: int, error: Exception) -> None:
        if device in self._alive:
            self._alive.remove(device)
        message = error.message if isinstance(error, LlemError) else f"{type(error).__name__}: {error}"
        self._write(record_format.encode_lost(device, time.monotonic(), message))

    def _write(self, line: bytes) -> None:
        self._file.write(line)  # unbuffered: it is on its way even if this process is killed now


def run(recording: Recording, sampler: Sampler) -> None:
    """Sample until told to stop or until standard input is closed."""
    waiting = b""
    while True:
        pause_s = max(0.0, recording.next_due() - time.monotonic())
        if select.select([0], [], [], pause_s)[0]:
            received = os.read(0, 4096)
            if not received:
                return
            *lines, waiting = (waiting + received).split(b"\n")
            for line in lines:
                if not obey(line.decode(), recording, sampler):
                    return
        recording.work()


def obey(command: str, recording: Recording, sampler: Sampler) -> bool:
    """Do what the host says; False means stop."""
    match command.split():
        case ["dense" | "slow" | "quiet" as pace]:
            recording.set_pace(pace)
        case ["follow", pid]:
            sampler.follow(int(pid))
        case ["stop"]:
            return False
        case _:
            raise ValueError(f"unknown command {command!r}")
    return True


def answer(host: int, word: str, **detail: str | None) -> None:
    os.write(host, f"{word} {json.dumps(detail)}\n".encode())


def keep_stdout() -> int:
    """Standard output for the host alone: what the meters' libraries print goes to the log."""
    host = os.dup(1)
    os.dup2(2, 1)
    return host


def main() -> int:
    parser = argparse.ArgumentParser(description="Record power meters into a file; started by pytest-llem itself.")
    parser.add_argument("--meter", required=True)
    parser.add_argument("--devices", required=True, help="JSON")
    parser.add_argument("--file", required=True)
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()
    devices = record_format.decode_devices(json.loads(arguments.devices))
    host = keep_stdout()
    with FileIO(arguments.file, "w") as file:
        try:
            meter = make_meter(arguments.meter)
            sampler = meter.open(devices, arguments.pid)
            file.write(record_format.encode_header(Header(MeterInfo.of(meter), devices, os.getpid())))
        except LlemError as error:
            answer(host, "error", message=error.message, hint=error.hint)
            return 1
        recording = Recording(sampler, devices, file, reads_disturb=meter.reads_disturb)
        recording.read_all()
        answer(host, "ready")
        run(recording, sampler)
        recording.finish()
        sampler.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
