"""Which devices an experiment uses, and whether they are free to be measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pytest_llem.energy.choose import choose_meter
from pytest_llem.energy.gpus import Gpu, list_gpus, processes_on, select_gpus
from pytest_llem.energy.idle import Finding, check_idle, wait_until_idle, wait_until_settled
from pytest_llem.energy.meter import Device, Meter
from pytest_llem.energy.meters.rapl import RaplMeter
from pytest_llem.errors import GpuBusyError, MeterError
from pytest_llem.study.config import ExperimentConfig

HOST_LOCK = "host"
BUSY_WAIT_S = 600.0
_READS_GPUS = ("nvml", "zeus", "codecarbon")


@dataclass(frozen=True)
class DevicePlan:
    """The meter, what it may measure, and the GPUs that a worker may be given."""

    meter_name: str  # as a recorder is started with
    meter: Meter
    devices: tuple[Device, ...]
    gpus: tuple[Gpu, ...]
    beside: tuple[str, tuple[Device, ...]] | None  # a second meter, for the CPU's energy beside the GPU's
    passed_over: tuple[tuple[str, str], ...]  # better meters, and why they are not used

    def lock_names(self) -> tuple[str, ...]:
        """What must be locked: devices, or the host where the meter cannot tell its processes apart."""
        return tuple(device.uuid for device in self.devices) if self.meter.scope == "device" else (HOST_LOCK,)

    def devices_for(self, locks: Sequence[str]) -> tuple[Device, ...]:
        """The devices that go with the locks held."""
        return self.devices if HOST_LOCK in locks else tuple(d for d in self.devices if d.uuid in locks)

    def gpus_for(self, locks: Sequence[str]) -> tuple[Gpu, ...]:
        """The GPUs that a worker with these locks may see."""
        return self.gpus if HOST_LOCK in locks else tuple(gpu for gpu in self.gpus if gpu.uuid in locks)


def plan_devices(meter: str, selection: str | None) -> DevicePlan:
    """Choose the meter and its devices; raises MeterError with what to do.

    ``selection`` is ``--llem-gpus``: numbers within CUDA_VISIBLE_DEVICES."""
    gpus = gpus_to_use(selection)
    choice = choose_meter(meter, gpu=bool(gpus))
    name = choice.meter.name if meter == "auto" else meter
    devices = tuple(choice.meter.devices())
    beside = None
    if choice.meter.name in _READS_GPUS:
        by_uuid = {device.uuid: device for device in devices}
        devices = tuple(by_uuid[gpu.uuid] for gpu in gpus if gpu.uuid in by_uuid) or devices
        with suppress(MeterError):
            beside = ("rapl", tuple(RaplMeter().devices()))
    else:
        gpus = ()
    return DevicePlan(name, choice.meter, devices, gpus, beside, choice.passed_over)


def gpus_to_use(selection: str | None) -> tuple[Gpu, ...]:
    """The GPUs that experiments may use: ``selection`` within CUDA_VISIBLE_DEVICES; none where there is no driver."""
    try:
        found = list_gpus()
    except MeterError:
        if selection is not None:
            raise
        return ()
    return select_gpus(found, selection)


def needed(config: ExperimentConfig, available: int) -> int:
    """How many GPUs an experiment takes: one, unless it is told to spread."""
    if config.vllm is not None:
        engine = config.vllm.engine
        sizes = (engine.tensor_parallel_size, engine.pipeline_parallel_size, engine.data_parallel_size)
        return math.prod(size or 1 for size in sizes)
    spread = config.pytorch is not None and config.pytorch.device_map not in (None, "cuda", "cuda:0", "cpu")
    return max(available, 1) if spread else 1


def settle(gpus: Sequence[Gpu], limit_s: float, say: Callable[[str], None]) -> list[str]:
    """Wait until temperature and power of the GPUs stand still, at most ``limit_s`` in all; warns where they do not."""
    end = time.monotonic() + limit_s
    warnings = []
    for gpu in gpus:
        left_s = end - time.monotonic()
        if left_s > 0:
            wait = wait_until_settled(gpu.uuid, left_s, say=partial(say, f"for GPU {gpu.index} to cool down"))
            if not wait.settled:
                warnings.append(f"GPU {gpu.index} had not settled after {wait.waited_s:.0f} s")
    return warnings


def check(gpus: Sequence[Gpu], busy: str, say: Callable[[str], None]) -> tuple[Finding, ...]:
    """What is wrong with these GPUs before an experiment; ``busy``: warn, fail or wait.

    Raises GpuBusyError under ``fail``, and under ``wait`` when they are not free in ten minutes."""
    if busy == "wait":
        wait_until_idle(gpus, BUSY_WAIT_S, say=say)
        return ()
    findings = tuple(finding for gpu in gpus for finding in check_idle(gpu))
    if findings and busy == "fail":
        raise GpuBusyError(
            "; ".join(finding.message for finding in findings),
            hint="end the other process, choose another GPU with --llem-gpus, or --llem-busy=wait",
        )
    return findings


def users(gpus: Sequence[Gpu]) -> frozenset[int]:
    """The pids of all processes on these GPUs."""
    return frozenset(process.pid for gpu in gpus for process in processes_on(gpu.uuid))


def newcomers(gpus: Sequence[Gpu], before: Collection[int], own: Collection[int]) -> tuple[Finding, ...]:
    """Processes on these GPUs that were not there before and are none of the worker's, ``own``.

    Inside a container the driver tells the host's pids, which match none of ours: then as many new ones as the worker
    has processes are taken for the worker's."""
    new = [(gpu, process.pid) for gpu in gpus for process in processes_on(gpu.uuid) if process.pid not in before]
    pids = {pid for _, pid in new}
    if pids.isdisjoint(own) and len(pids) <= len(own):
        return ()
    return tuple(
        Finding("foreign_process", gpu.uuid, f"GPU {gpu.index}: process {pid} came while it was measured")
        for gpu, pid in new
        if pid not in own
    )
