"""The GPUs of this machine, and which of them an experiment may use: NVML's view mapped to CUDA's by UUID."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llem.energy import nvml
from pytest_llem.errors import MeterError

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Gpu:
    """One physical GPU. ``index`` is NVML's, which is not CUDA's."""

    uuid: str
    index: int
    name: str
    memory_bytes: int
    pci_bus: str
    mig: bool = False


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory on a GPU; ``memory_bytes`` and ``name`` are None where the driver hides them, as it
    does inside a container (the pid is then the host's)."""

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True)
class GpuState:
    """A GPU at one moment. A figure that this GPU does not have is None."""

    temperature_c: float | None
    power_w: float | None
    throttle_reasons: int | None
    sm_clock_hz: float | None


def list_gpus() -> tuple[Gpu, ...]:
    """All GPUs in NVML's order (that of the PCI bus); raises MeterError where NVML does not work."""
    pynvml = nvml.library()
    return tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        uuid=nvml.text(pynvml.nvmlDeviceGetUUID(handle)),
        index=index,
        name=nvml.text(pynvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        pci_bus=nvml.text(pynvml.nvmlDeviceGetPciInfo(handle).busId),
        mig=nvml.mig_enabled(pynvml, handle),
    )


def visible_gpus(gpus: Sequence[Gpu], environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, in its order; all where it is not set, none where it is empty.

    Entries are indices, UUIDs or beginnings of UUIDs. CUDA itself silently stops at the first entry that it does not
    know; here that raises MeterError. Indices are NVML's, that is the order of the PCI bus: the worker must be started
    with CUDA_DEVICE_ORDER=PCI_BUS_ID, or better with UUIDs only (see :func:`visible_value`).
    """
    value = environment.get(VISIBLE)
    if value is None:
        return _whole(gpus)
    entries = [entry.strip() for entry in value.split(",")] if value.strip() else []
    if entries and entries[0] in ("-1", "NoDevFiles"):  # the usual ways to say none
        return ()
    return _whole(_unique([_find(gpus, entry, f"{VISIBLE}={value}") for entry in entries], f"{VISIBLE}={value}"))


def select_gpus(
    gpus: Sequence[Gpu], selection: str | None, environment: Mapping[str, str] = os.environ
) -> tuple[Gpu, ...]:
    """``--llem-gpus`` within CUDA_VISIBLE_DEVICES: its numbers count the visible ones, as CUDA would; UUIDs work too.

    Raises MeterError for an entry that is not there, listed twice, or cut into MIG slices.
    """
    visible = visible_gpus(gpus, environment)
    if selection is None:
        return visible
    where = f"--llem-gpus={selection}"
    chosen = []
    for entry in (entry.strip() for entry in selection.split(",")):
        if entry.isdecimal():
            if int(entry) >= len(visible):
                raise MeterError(f"{where}: there is no GPU {entry}", hint=_visible_hint(visible))
            chosen.append(visible[int(entry)])
        else:
            chosen.append(_find(visible, entry, where))
    return _unique(chosen, where)


def visible_value(gpus: Sequence[Gpu]) -> str:
    """The CUDA_VISIBLE_DEVICES of a worker that may use exactly these GPUs: UUIDs, which need no agreement on order."""
    return ",".join(gpu.uuid for gpu in gpus)


def _find(gpus: Sequence[Gpu], entry: str, where: str) -> Gpu:
    if entry.upper().startswith("MIG"):
        raise MeterError(f"{where}: {entry} is an MIG slice, which is not supported", hint=nvml.MIG_HINT)
    if entry.isdecimal():
        found = [gpu for gpu in gpus if gpu.index == int(entry)]
    else:
        found = [gpu for gpu in gpus if entry and gpu.uuid.lower().startswith(entry.lower())]
    if len(found) != 1:
        problem = "is no GPU of this machine" if not found else f"fits {len(found)} GPUs"
        raise MeterError(f"{where}: {entry!r} {problem}", hint=_visible_hint(gpus))
    return found[0]


def _whole(gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    for gpu in gpus:
        if gpu.mig:
            raise MeterError(f"GPU {gpu.index} ({gpu.name}) is cut into MIG slices", hint=nvml.MIG_HINT)
    return tuple(gpus)


def _unique(gpus: Sequence[Gpu], where: str) -> tuple[Gpu, ...]:
    if len({gpu.uuid for gpu in gpus}) != len(gpus):
        raise MeterError(f"{where}: names a GPU twice", hint="name each GPU once")
    return tuple(gpus)


def _visible_hint(gpus: Sequence[Gpu]) -> str:
    return "there are: " + (", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in gpus) or "none")


def handle_of(pynvml: Any, uuid: str) -> Any:
    """NVML's handle; raises MeterError if there is no such GPU."""
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError as error:
        raise MeterError(f"no GPU {uuid}: {error}", hint="nvidia-smi -L lists the UUIDs") from None


def used_memory_bytes(uuid: str) -> int:
    """Memory in use, without what the driver keeps for itself: version 2 of NVML's call.

    Version 1 counts that reserve as used: 645 MB on an idle H200. On a driver without version 2 the processes' own
    memory is added up instead.
    """
    pynvml = nvml.library()
    handle = handle_of(pynvml, uuid)
    memory = nvml.optional(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle, version=pynvml.nvmlMemory_v2)
    if memory is not None:
        return int(memory.used)
    return sum(process.memory_bytes or 0 for process in processes_on(uuid))


def processes_on(uuid: str) -> tuple[GpuProcess, ...]:
    """Compute and graphics processes on a GPU, by pid."""
    pynvml = nvml.library()
    handle = handle_of(pynvml, uuid)
    found: dict[int, GpuProcess] = {}
    for call in (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in nvml.optional(pynvml, call, handle) or ():
            name = nvml.optional(pynvml, pynvml.nvmlSystemGetProcessName, process.pid)
            found[process.pid] = GpuProcess(
                pid=process.pid,
                name=None if name is None else nvml.text(name),
                memory_bytes=process.usedGpuMemory,
            )
    return tuple(found[pid] for pid in sorted(found))


def process_memory_bytes(uuid: str, pids: Collection[int]) -> int | None:
    """Memory that these processes hold on a GPU; None where the driver shows none of them, or not how much."""
    own = [process.memory_bytes for process in processes_on(uuid) if process.pid in pids]
    known = [used for used in own if used is not None]
    return sum(known) if known and len(known) == len(own) else None


def state_of(uuid: str) -> GpuState:
    """Temperature, power, clocks now."""
    pynvml = nvml.library()
    handle = handle_of(pynvml, uuid)
    power_mw = nvml.optional(pynvml, pynvml.nvmlDeviceGetPowerUsage, handle)
    clock_mhz = nvml.optional(pynvml, pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
    return GpuState(
        temperature_c=nvml.optional(pynvml, pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        power_w=None if power_mw is None else power_mw / 1e3,
        throttle_reasons=nvml.optional(pynvml, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle),
        sm_clock_hz=None if clock_mhz is None else clock_mhz * 1e6,
    )
