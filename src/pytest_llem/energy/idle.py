"""Is a GPU free and cool enough to be measured? Checks, and waits that end on a condition, not after a blind sleep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llem.energy import nvml
from pytest_llem.energy.gpus import Gpu, GpuProcess, handle_of, processes_on, used_memory_bytes
from pytest_llem.errors import GpuBusyError

THRESHOLD_BYTES = 100_000_000
POLL_S = 0.5
PLATEAU_S = 3.0
"""A GPU counts as settled when this long a stretch stays within the two spans below: enough to let the one-second
average of NVML's power forget a load that has just ended."""
PLATEAU_C = 1.0
PLATEAU_SHARE = 0.02

State = tuple[float | None, float | None]
"""A GPU's temperature (°C) and power (W) at one moment; None where it has no such sensor."""


@dataclass(frozen=True)
class Finding:
    """Something that makes a measurement on this GPU doubtful."""

    code: Literal["foreign_process", "leftover_memory"]
    gpu: str  # UUID
    message: str


@dataclass(frozen=True)
class ThermalWait:
    """How a wait for a cool, settled GPU ended."""

    waited_s: float
    settled: bool  # False: the limit came first
    temperature_c: float | None


def check_idle(gpu: Gpu, threshold_bytes: int = THRESHOLD_BYTES) -> list[Finding]:
    """Processes on a GPU, and memory in use, before an experiment has put anything there."""
    findings = [
        Finding("foreign_process", gpu.uuid, f"GPU {gpu.index} is used by {_describe(process)}")
        for process in processes_on(gpu.uuid)
    ]
    left_bytes = used_memory_bytes(gpu.uuid)
    if left_bytes > threshold_bytes:
        left = f"{left_bytes / 1e6:.0f} MB in use already (threshold {threshold_bytes / 1e6:.0f} MB)"
        findings.append(Finding("leftover_memory", gpu.uuid, f"GPU {gpu.index} has {left}"))
    return findings


def _describe(process: GpuProcess) -> str:
    name = f" ({process.name})" if process.name else ""
    memory = "" if process.memory_bytes is None else f" with {process.memory_bytes / 1e6:.0f} MB"
    return f"process {process.pid}{name}{memory}"


def wait_until_idle(gpus: Sequence[Gpu], timeout_s: float, say: Callable[[str], None] = lambda text: None) -> float:
    """Wait until no GPU has findings; returns the seconds waited, raises GpuBusyError after ``timeout_s``.

    ``say`` is called again and again, also with the same text: a caller that was told to stop raises there."""
    start = time.monotonic()
    while True:
        found = "; ".join(finding.message for gpu in gpus for finding in check_idle(gpu))
        waited_s = time.monotonic() - start
        if not found:
            return waited_s
        if waited_s >= timeout_s:
            raise GpuBusyError(
                f"still busy after {waited_s:.0f} s: {found}",
                hint="end the other process, choose another GPU with --llem-gpus, or wait longer",
            )
        say(f"waiting: {found}")
        time.sleep(min(POLL_S, max(0.0, timeout_s - waited_s)))


def state_of(uuid: str) -> State:
    """Temperature and power now."""
    handle = handle_of(uuid)
    return nvml.temperature_c(handle), nvml.scaled(1e-3, "nvmlDeviceGetPowerUsage", handle)


def wait_until_settled(
    uuid: str,
    limit_s: float,
    state: Callable[[str], State] = state_of,
    poll_s: float = POLL_S,
    say: Callable[[], None] = lambda: None,
) -> ThermalWait:
    """Wait until temperature and power stand still (within 1 °C and 2 % for 3 s), at most ``limit_s``.

    A GPU without a thermometer and a power reading has nothing to wait for. ``say`` is called again and again: a
    caller that was told to stop raises there."""
    start = time.monotonic()
    seen: list[tuple[float, State]] = []
    while True:
        now = time.monotonic()
        seen = [(then, past) for then, past in seen if then >= now - PLATEAU_S - poll_s] + [(now, state(uuid))]
        settled = _settled(seen) or seen[-1][1] == (None, None)
        if settled or now - start >= limit_s:
            return ThermalWait(now - start, settled, seen[-1][1][0])
        say()
        time.sleep(min(poll_s, max(0.0, limit_s - (now - start))))


def _settled(seen: Sequence[tuple[float, State]]) -> bool:
    if seen[-1][0] - seen[0][0] < PLATEAU_S:
        return False
    degrees = [temperature_c for _, (temperature_c, _) in seen if temperature_c is not None]
    watts = [power_w for _, (_, power_w) in seen if power_w is not None]
    still = not degrees or max(degrees) - min(degrees) <= PLATEAU_C
    return still and (not watts or max(watts) - min(watts) <= PLATEAU_SHARE * max(watts))
