"""Is a GPU free and cool enough to be measured? Checks, and waits that end on a condition, not after a blind sleep."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llem.energy.gpus import Gpu, GpuProcess, GpuState, processes_on, state_of, used_memory_bytes
from pytest_llem.errors import GpuBusyError

THRESHOLD_BYTES = 100_000_000
POLL_S = 0.5
PLATEAU_S = 3.0
"""A GPU counts as settled when this long a stretch stays within the two spans below: enough to let the one-second
average of NVML's power forget a load that has just ended."""
PLATEAU_C = 1.0
PLATEAU_SHARE = 0.02

Code = Literal["foreign_process", "leftover_memory"]


@dataclass(frozen=True)
class Finding:
    """Something that makes a measurement on this GPU doubtful."""

    code: Code
    gpu: str  # UUID
    message: str


def check_idle(gpu: Gpu, own_pids: Collection[int] = (), threshold_bytes: int = THRESHOLD_BYTES) -> list[Finding]:
    """Foreign processes on a GPU, and memory that is in use without belonging to ``own_pids``."""
    processes = processes_on(gpu.uuid)
    own = [process for process in processes if process.pid in own_pids]
    findings = [
        Finding("foreign_process", gpu.uuid, f"GPU {gpu.index} is used by {_describe(process)}")
        for process in processes
        if process.pid not in own_pids
    ]
    used_bytes = used_memory_bytes(gpu.uuid)
    if own and any(process.memory_bytes is None for process in own):
        return findings  # our own share of the memory in use is not known
    left_bytes = used_bytes - sum(process.memory_bytes or 0 for process in own)
    if left_bytes > threshold_bytes:
        findings.append(
            Finding(
                "leftover_memory",
                gpu.uuid,
                f"GPU {gpu.index} has {left_bytes / 1e6:.0f} MB in use already"
                f" (threshold {threshold_bytes / 1e6:.0f} MB)",
            )
        )
    return findings


def _describe(process: GpuProcess) -> str:
    name = f" ({process.name})" if process.name else ""
    memory = "" if process.memory_bytes is None else f" with {process.memory_bytes / 1e6:.0f} MB"
    return f"process {process.pid}{name}{memory}"


def wait_until_idle(
    gpus: Sequence[Gpu],
    timeout_s: float,
    own_pids: Collection[int] = (),
    threshold_bytes: int = THRESHOLD_BYTES,
    say: Callable[[str], None] = lambda text: None,
) -> float:
    """Wait until no GPU has findings; returns the seconds waited, raises GpuBusyError after ``timeout_s``."""
    start = time.monotonic()
    told: list[Finding] = []
    while True:
        findings = [finding for gpu in gpus for finding in check_idle(gpu, own_pids, threshold_bytes)]
        waited_s = time.monotonic() - start
        if not findings:
            return waited_s
        if waited_s >= timeout_s:
            raise GpuBusyError(
                f"still busy after {waited_s:.0f} s: " + "; ".join(finding.message for finding in findings),
                hint="end the other process, choose another GPU with --llem-gpus, or wait longer",
            )
        if findings != told:
            say("waiting: " + "; ".join(finding.message for finding in findings))
            told = findings
        time.sleep(min(POLL_S, max(0.0, timeout_s - waited_s)))


@dataclass(frozen=True)
class ThermalWait:
    """How a wait for a cool, settled GPU ended."""

    waited_s: float
    settled: bool  # False: the limit came first
    temperature_c: float | None


def wait_until_settled(
    uuid: str, limit_s: float, state: Callable[[str], GpuState] = state_of, poll_s: float = POLL_S
) -> ThermalWait:
    """Wait until temperature and power stand still (within 1 °C and 2 % for 3 s), at most ``limit_s``.

    A GPU without a thermometer and a power reading has nothing to wait for.
    """
    start = time.monotonic()
    seen: list[tuple[float, GpuState]] = []
    while True:
        now = time.monotonic()
        seen = [(then, past) for then, past in seen if then >= now - PLATEAU_S - poll_s] + [(now, state(uuid))]
        latest = seen[-1][1]
        if _settled(seen) or (latest.temperature_c is None and latest.power_w is None):
            return ThermalWait(now - start, True, latest.temperature_c)
        if now - start >= limit_s:
            return ThermalWait(now - start, False, latest.temperature_c)
        time.sleep(min(poll_s, max(0.0, limit_s - (now - start))))


def _settled(seen: Sequence[tuple[float, GpuState]]) -> bool:
    if seen[-1][0] - seen[0][0] < PLATEAU_S:
        return False
    degrees = [state.temperature_c for _, state in seen if state.temperature_c is not None]
    watts = [state.power_w for _, state in seen if state.power_w is not None]
    still = not degrees or max(degrees) - min(degrees) <= PLATEAU_C
    return still and (not watts or max(watts) - min(watts) <= PLATEAU_SHARE * max(watts))
