"""The recorder process: ``python -m pytest_llem.energy.recorder_process`` reads meters and appends to a file.

It takes words on standard input, one a line: ``dense``, ``slow``, ``follow PID``, ``stop``. It says ``ready`` on
standard output once every device has been read, or ``error`` with a JSON object. It ends when standard input is closed,
which is also what happens when its host dies.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import select
import sys
import time
from collections.abc import Sequence
from io import FileIO

from pytest_llem.energy import record_format
from pytest_llem.energy.choose import make_meter
from pytest_llem.energy.meter import Device, MeterInfo, Sampler
from pytest_llem.energy.record_format import Header, RecorderCost, slow_counter_pause_s
from pytest_llem.errors import LlemError

DENSE_S = (0.010, 0.030)
"""Time between two counter reads near an edge. Jittered: H200s step on a strict 100 ms grid, and reads at a fixed pace
would lock to it and see every step at the same phase."""
POWER_S = 0.1
FULL_EVERY_S = 0.5
COST_EVERY_S = 2.0


class Recording:
    """The sampling loop's state: what to read next, and what reading has cost."""

    def __init__(self, sampler: Sampler, devices: Sequence[Device], file: FileIO) -> None:
        self._sampler = sampler
        self._devices = devices
        self._alive = list(range(len(devices)))
        self._file = file
        self._random = random.Random()
        self._dense = False
        self._due: list[tuple[float, int]] = []  # (time, device) of counter reads
        self._power_due = self._full_due = self._cost_due = 0.0
        self._reads = {"counter": (0, 0.0), "power": (0, 0.0)}
        self._slow_cpu_s = self._slow_wall_s = 0.0
        self._started = self._mode_since = time.monotonic()
        self._cpu_before = self._mode_cpu = time.process_time()

    def read_all(self) -> None:
        """Read every device once."""
        self._due = []
        for device in list(self._alive):
            self._counter(device)
        self._power()

    def set_dense(self, on: bool) -> None:
        if on != self._dense:
            self._close_mode()
            self._dense = on
            self.read_all()

    def next_due(self) -> float:
        return min([self._power_due, self._cost_due] + [due for due, _ in self._due[:1]])

    def work(self) -> None:
        """Do what is due: at most one counter, so that commands are never kept waiting by many devices."""
        now = time.monotonic()
        if self._due and self._due[0][0] <= now:
            self._counter(heapq.heappop(self._due)[1])
        if self._power_due <= now:
            self._power()
        if self._cost_due <= now:
            self._cost_due = now + COST_EVERY_S
            self._write(record_format.encode_cost(self.cost()))

    def finish(self) -> None:
        """One last read, so that the record reaches the end."""
        self.read_all()
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
        if not self._dense:
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
        if self._dense:
            return self._random.uniform(*DENSE_S)
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
        self._power_due = end + self._random.uniform(1.0, 1.2) * POWER_S
        if full:
            self._full_due = end + FULL_EVERY_S

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
        case ["dense"]:
            recording.set_dense(True)
        case ["slow"]:
            recording.set_dense(False)
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
        recording = Recording(sampler, devices, file)
        recording.read_all()
        answer(host, "ready")
        run(recording, sampler)
        recording.finish()
        sampler.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
