"""The GPUs of this machine, and which of them an experiment may use: NVML's view mapped to CUDA's by UUID."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    mig: bool = False


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory on a GPU; ``memory_bytes`` and ``name`` are None where the driver hides them, as it
    does inside a container (the pid is then the host's)."""

    pid: int
    name: str | None
    memory_bytes: int | None


def list_gpus() -> tuple[Gpu, ...]:
    """All GPUs in NVML's order (that of the PCI bus); raises MeterError where NVML does not work."""
    pynvml = nvml.library()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    return tuple(
        Gpu(
            uuid=pynvml.nvmlDeviceGetUUID(handle),
            index=index,
            name=pynvml.nvmlDeviceGetName(handle),
            memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            mig=nvml.mig_enabled(handle),
        )
        for index, handle in enumerate(handles)
    )


def visible_gpus(gpus: Sequence[Gpu], environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, in its order; all where it is not set, none where it is empty.

    Entries are indices, UUIDs or beginnings of UUIDs. CUDA itself silently stops at the first entry that it does not
    know; here that raises MeterError. Indices are NVML's, that is the order of the PCI bus: a worker is told UUIDs
    only, which need no agreement on order.
    """
    value = environment.get(VISIBLE)
    if value is None:
        chosen = tuple(gpus)
    else:
        entries = [entry.strip() for entry in value.split(",")] if value.strip() else []
        if entries and entries[0] in ("-1", "NoDevFiles"):  # the usual ways to say none
            return ()
        where = f"{VISIBLE}={value}"
        chosen = _unique([_find(gpus, entry, where) for entry in entries], where)
    for gpu in chosen:
        if gpu.mig:
            raise MeterError(f"GPU {gpu.index} ({gpu.name}) is cut into MIG slices", hint=nvml.MIG_HINT)
    return chosen


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
    numbers = {str(number): gpu for number, gpu in enumerate(visible)}
    entries = [entry.strip() for entry in selection.split(",")]
    return _unique([numbers.get(entry) or _find(visible, entry, where, by_index=False) for entry in entries], where)


def _find(gpus: Sequence[Gpu], entry: str, where: str, *, by_index: bool = True) -> Gpu:
    if entry.upper().startswith("MIG"):
        raise MeterError(f"{where}: {entry} is an MIG slice, which is not supported", hint=nvml.MIG_HINT)
    if entry.isdecimal():
        found = [gpu for gpu in gpus if by_index and gpu.index == int(entry)]
    else:
        found = [gpu for gpu in gpus if entry and gpu.uuid.lower().startswith(entry.lower())]
    if len(found) != 1:
        problem = "is no GPU that may be used" if not found else f"fits {len(found)} GPUs"
        there = ", ".join(f"{gpu.index} ({gpu.uuid})" for gpu in gpus) or "none"
        raise MeterError(f"{where}: {entry!r} {problem}", hint=f"there are: {there}")
    return found[0]


def _unique(gpus: Sequence[Gpu], where: str) -> tuple[Gpu, ...]:
    if len({gpu.uuid for gpu in gpus}) != len(gpus):
        raise MeterError(f"{where}: names a GPU twice", hint="name each GPU once")
    return tuple(gpus)


def handle_of(uuid: str) -> Any:
    """NVML's handle; raises MeterError if there is no such GPU."""
    pynvml = nvml.library()
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError as error:
        raise MeterError(f"no GPU {uuid}: {error}", hint="nvidia-smi -L lists the UUIDs") from None


def processes_on(uuid: str) -> tuple[GpuProcess, ...]:
    """Compute and graphics processes on a GPU, by pid."""
    handle, memory = handle_of(uuid), {}
    for kind in ("Compute", "Graphics"):
        for process in nvml.ask(f"nvmlDeviceGet{kind}RunningProcesses", handle) or ():
            memory[process.pid] = process.usedGpuMemory
    return tuple(GpuProcess(pid, nvml.ask("nvmlSystemGetProcessName", pid), memory[pid]) for pid in sorted(memory))


def used_memory_bytes(uuid: str) -> int:
    """Memory in use, without what the driver keeps for itself; where it does not tell, what the processes hold."""
    used = nvml.used_memory_bytes(handle_of(uuid))
    return sum(process.memory_bytes or 0 for process in processes_on(uuid)) if used is None else used
