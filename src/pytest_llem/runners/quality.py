"""How far a result can be trusted: reason codes, notes, and why a figure is missing."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llem.energy import nvml
from pytest_llem.results.model import RecorderCost, Validity
from pytest_llem.runners.assemble import Measured, Observed
from pytest_llem.runners.fields import Fields

FATAL = frozenset({"gpu_shared", "device_lost", "below_physical_floor", "no_windows"})
"""Codes that make a result invalid besides those of the estimators (:mod:`pytest_llem.energy.validity`)."""

NO_BOUND = "the size of the model's weights or cache is not known, or tokens were drafted"
FROM_ENERGY = ("energy_above_idle_j", "energy_optimality", "prefill_energy_j", "decode_energy_j")
"""Figures that have reasons of their own to be null where there is an energy."""

NO_IDLE_POWER = "idle power is unknown"
NO_SIZE = "the model's size is not known"


def quality(seen: Observed, notes: Sequence[str]) -> Fields:
    """Warm-up, throttling, the recorder's cost, versions and warnings, the last of which are ``notes``."""
    worker, warmup, cost = seen.worker, seen.worker.warmup, seen.recording.cost
    rows = [row for device in seen.recording.devices for row in seen.recording.rows[device.uuid]]
    inside = [row for row in rows if any(window.start <= row.time <= window.end for window in worker.windows)]
    masks = [row.throttle_reasons for row in inside if row.throttle_reasons is not None]
    first = min((window.start for window in worker.windows), default=0.0)
    before = [row.temperature_c for row in rows if row.temperature_c is not None and row.time <= first]
    warnings = [finding.message for finding in seen.findings]
    if not warmup.converged and warmup.n >= 3:
        warnings.append(f"the warm-up did not settle: the last passes varied by {100 * (warmup.cv or 0):.0f} %")
    return {
        "warmup": warmup,
        "throttled": any(nvml.is_throttled(mask) for mask in masks) if masks else None,
        "start_temperature_c": before[-1] if before else None,
        "recorder": RecorderCost(
            cpu_share=cost.cpu_share or 0.0,
            counter_reads=cost.counter_reads,
            power_reads=cost.power_reads,
            counter_read_s=cost.mean_counter_read_s,
        ),
        "versions": worker.versions,
        "warnings": (*warnings, *worker.notes, *notes),
    }


def validity(measured: Measured, seen: Observed, done: Fields, no_timeseries: str | None) -> Validity:
    """All reason codes, whether one of them is fatal, and why figures are null."""
    lost, flat = seen.recording.lost, measured.flat
    also = {
        "device_lost": lost is not None,
        "gpu_shared": any(finding.code == "foreign_process" for finding in seen.findings),
        "throttled": done["throttled"],
        "estimated_energy": not seen.recording.meter.measured,
        "below_physical_floor": (done.get("energy_optimality") or 0.0) > 1,
        "no_windows": not measured.windows,
    }
    found = [*(code for one in flat for code in one.reasons), *(code for code, holds in also.items() if holds)]
    notes = [*(note for one in flat for note in one.notes), *([lost.message] if lost else [])]
    reasons = tuple(dict.fromkeys(found))
    return Validity(
        valid=bool(flat) and all(one.valid for one in flat) and not FATAL.intersection(reasons),
        reasons=reasons,
        notes=tuple(dict.fromkeys(notes)),
        missing=missing(done, reasons) | ({"timeseries": no_timeseries} if no_timeseries else {}),
    )


def missing(done: Fields, reasons: Sequence[str]) -> dict[str, str]:
    """For each figure that is null, why."""
    host = not any(device.power_limit_w for device in done["devices"])
    no_energy = f"the windows could not be evaluated: {', '.join(reasons)}"
    why = {
        "energy_j": no_energy,
        "energy_per_output_token_j": no_energy,
        "energy_per_total_token_j": no_energy,
        "energy_per_request_j": no_energy,
        "mean_power_w": no_energy,
        "energy_above_idle_j": NO_IDLE_POWER,
        "idle_power_w": "this meter has no idle power" if host else "too few samples without the worker",
        "loaded_idle_power_w": "this meter has no idle power" if host else "no idle time beside the windows",
        "cross_check": "there is no second source",
        "prefill_energy_j": "the backend did not mark prefill, or it was too short to tell",
        "decode_energy_j": "the backend did not mark decode, or it was too short to tell",
        "cpu_energy_j": "no RAPL beside a GPU meter, or it was read too seldom",
        "ttft_s": "the backend did not time first tokens",
        "tpot_s": "the backend did not time first tokens",
        "itl_s": "token times were not asked for (measure.token_times)",
        "peak_memory_bytes": "neither NVML nor the worker could tell",
        "mfu": NO_SIZE if done.get("flops") is None else "the peak of this device is not known",
        "energy_optimality": _why_no_optimality(done),
        "flops": NO_SIZE,
        "throttled": "this meter reads no throttle reasons",
        "start_temperature_c": "this meter reads no temperature",
    }
    if done["energy_j"] is None:
        why |= dict.fromkeys(FROM_ENERGY, no_energy)
    return {name: reason for name, reason in why.items() if done.get(name) is None}


def _why_no_optimality(done: Fields) -> str:
    """What is lacking beside the energy."""
    if done.get("flops") is None:
        return NO_SIZE
    if done.get("mfu") is None:
        return "the bandwidth and peak of this device are not known"
    return NO_IDLE_POWER if done["idle_power_w"] is None else NO_BOUND
