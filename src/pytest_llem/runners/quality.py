"""How far a result can be trusted: reason codes, notes, and why a figure is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llem.energy import nvml
from pytest_llem.energy.idle import Finding
from pytest_llem.energy.recording import Recording
from pytest_llem.energy.timeseries import write_timeseries
from pytest_llem.results.model import RecorderCost, Validity, Warmup
from pytest_llem.results.store import TIMESERIES
from pytest_llem.runners.assemble import Measured
from pytest_llem.runners.fields import Fields
from pytest_llem.runners.worker_result import WorkerResult

FATAL = frozenset({"gpu_shared", "device_lost", "below_physical_floor", "no_windows"})
"""Codes that make a result invalid besides those of the estimators (:mod:`pytest_llem.energy.validity`)."""


def quality(
    worker: WorkerResult, recording: Recording, measured: Measured, done: Fields, findings: Sequence[Finding]
) -> Fields:
    """Warm-up, throttling, the recorder's cost, versions and warnings."""
    warmup = worker.warmup
    spans = [(w.start, w.end) for w in worker.windows]
    rows = [row for device in recording.devices for row in recording.rows[device.uuid]]
    masks = [row.throttle_reasons for row in rows if any(a <= row.time <= b for a, b in spans)]
    known = [mask for mask in masks if mask is not None]
    first = min((start for start, _ in spans), default=0.0)
    before = [row.temperature_c for row in rows if row.temperature_c is not None and row.time <= first]
    cost = recording.cost
    return {
        "warmup": Warmup(n=warmup.n, converged=warmup.converged, cv=warmup.cv, seconds=sum(warmup.durations_s)),
        "throttled": any(nvml.is_throttled(mask) for mask in known) if known else None,
        "start_temperature_c": before[-1] if before else None,
        "recorder": RecorderCost(
            cpu_share=cost.cpu_share or 0.0,
            counter_reads=cost.counter_reads,
            power_reads=cost.power_reads,
            counter_read_s=cost.mean_counter_read_s,
        ),
        "versions": worker.versions,
        "warnings": (*(finding.message for finding in findings), *_warmup_warning(worker), *worker.notes),
    }


def _warmup_warning(worker: WorkerResult) -> tuple[str, ...]:
    warmup = worker.warmup
    if warmup.converged or warmup.n < 3:
        return ()
    return (f"the warm-up did not settle: the last passes varied by {100 * (warmup.cv or 0):.0f} %",)


def timeseries(recording: Recording, worker: WorkerResult, folder: Path) -> Fields:
    """Write ``timeseries.parquet``; the name goes into the result, or null."""
    reason = write_timeseries(folder / TIMESERIES, recording)
    return {"timeseries": None if reason else TIMESERIES, **({"_why_no_timeseries": reason} if reason else {})}


def validity(measured: Measured, recording: Recording, done: Fields, findings: Sequence[Finding]) -> Validity:
    """All reason codes, whether one of them is fatal, and why figures are null."""
    reasons = list(measured.reasons())
    if recording.lost is not None and "device_lost" not in reasons:
        reasons.append("device_lost")
    if any(finding.code == "foreign_process" for finding in findings):
        reasons.append("gpu_shared")
    if done["throttled"]:
        reasons.append("throttled")
    if not recording.meter.measured:
        reasons.append("estimated_energy")
    optimality = done.get("energy_optimality")
    if optimality is not None and optimality > 1:
        reasons.append("below_physical_floor")
    if not measured.windows:
        reasons.append("no_windows")
    notes = [*measured.notes(), *([recording.lost.message] if recording.lost else [])]
    return Validity(
        valid=measured.valid and not FATAL.intersection(reasons),
        reasons=tuple(reasons),
        notes=tuple(notes),
        missing=missing(done, reasons),
    )


def missing(done: Fields, reasons: Sequence[str]) -> dict[str, str]:
    """For each figure that is null, why."""
    host = not done["devices"] or not any(d.power_limit_w for d in done["devices"])
    no_energy = f"the windows could not be evaluated: {', '.join(reasons)}"
    why = {
        "energy_j": no_energy,
        "energy_per_output_token_j": no_energy,
        "energy_per_total_token_j": no_energy,
        "energy_per_request_j": no_energy,
        "mean_power_w": no_energy,
        "energy_above_idle_j": "idle power is unknown",
        "idle_power_w": "this meter has no idle power" if host else "too few samples without the worker",
        "loaded_idle_power_w": "this meter has no idle power" if host else "no idle time beside the windows",
        "cross_check": "there is no second source",
        "prefill_energy_j": "the backend did not mark prefill, or it was too short to tell",
        "decode_energy_j": "the backend did not mark decode, or it was too short to tell",
        "cpu_energy_j": "no RAPL beside a GPU meter",
        "ttft_s": "the backend did not time first tokens",
        "tpot_s": "the backend did not time first tokens",
        "itl_s": "token times were not asked for (measure.token_times)",
        "peak_memory_bytes": "neither NVML nor the worker could tell",
        "mfu": "the peak of this device is not known",
        "energy_optimality": "the bandwidth and peak of this device are not known",
        "flops": "the model's size is not known",
        "throttled": "this meter reads no throttle reasons",
        "start_temperature_c": "this meter reads no temperature",
        "timeseries": done.pop("_why_no_timeseries", "not written"),
    }
    return {name: reason for name, reason in why.items() if done.get(name) is None}
