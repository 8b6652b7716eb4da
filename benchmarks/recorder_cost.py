"""What recording costs, as a share of one core: on a simulated meter of several GPUs, or on this machine's own.

python benchmarks/recorder_cost.py                    # simulated: 1, 4, 8 GPUs whose counter takes 2.8 ms to read
python benchmarks/recorder_cost.py --meter auto       # through a recorder process and a real meter
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from pytest_llem.energy.choose import choose_meter
from pytest_llem.energy.doctor import examine
from pytest_llem.energy.meter import CounterRead, Device, PowerRead, Sampler
from pytest_llem.energy.record_format import Pace, RecorderCost
from pytest_llem.energy.recorder_process import Loop

READ_S = 2.8e-3  # of an H200's counter
PACES: tuple[Pace, ...] = ("quiet", "slow", "dense")


class SimulatedSampler(Sampler):
    """Reads that take as long as those of an H200. Its counter is read by waiting (``time.sleep``) or by computing."""

    def __init__(self, spend: Callable[[float], None]) -> None:
        self._spend = spend

    def counter(self, device: Device) -> CounterRead:
        before = time.monotonic()
        self._spend(READ_S)
        return CounterRead(before, time.monotonic(), before * 500)

    def power(self, device: Device, *, full: bool) -> PowerRead:
        now = time.monotonic()
        return PowerRead(now, 500.0, 500.0, 40.0, 0, 0.5, 2e9, 3e9, 0) if full else PowerRead(now, 500.0, 500.0)


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def record(devices: int, spend: Callable[[float], None], *, pace: Pace, seconds: float) -> RecorderCost:
    with tempfile.TemporaryDirectory() as folder, FileIO(str(Path(folder) / "samples.jsonl"), "w") as file:
        gpus = [Device(f"GPU-{i}", "simulated", i) for i in range(devices)]
        loop = Loop(SimulatedSampler(spend), gpus, file, reads_disturb=True)
        loop.read_all()
        loop.set_pace(pace)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(max(0.0, loop.next_due() - time.monotonic()))
            loop.work()
        return loop.cost()


def simulated(seconds: float) -> None:
    print("GPUs  reading    pace   share of a core  counter reads/s  power reads/s")
    for devices in (1, 4, 8):
        for name, spend in (("waits", time.sleep), ("computes", compute)):
            for pace in PACES:
                cost = record(devices, spend, pace=pace, seconds=seconds)
                rates = f"{cost.counter_reads / cost.wall_s:15.1f}  {cost.power_reads / cost.wall_s:13.1f}"
                print(f"{devices:4d}  {name:9s}  {pace:5s}  {100 * (cost.cpu_share or 0):13.2f} %  {rates}")


def real(name: str, seconds: float) -> None:
    meter = choose_meter(name).meter
    with tempfile.TemporaryDirectory() as folder:
        report = examine(name if name != "auto" else meter.name, meter.devices(), Path(folder), seconds)
    print(f"meter {report.meter.name}: of one core {100 * (report.slow_cpu_share or 0):.2f} % between edges,", end=" ")
    print(f"{100 * (report.dense_cpu_share or 0):.2f} % near them")
    for device in report.devices:
        print(device)


def main() -> None:
    parser = argparse.ArgumentParser(description="What recording costs.")
    parser.add_argument("--meter", help="a real meter instead of the simulated one: auto, nvml, cpu-estimate, …")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    if arguments.meter is None:
        simulated(arguments.seconds)
    else:
        real(arguments.meter, arguments.seconds)


if __name__ == "__main__":
    main()
