"""The groups of a result's fields, each from the records that it follows from; pure."""

from __future__ import annotations

import math
from typing import Any

from pytest_llem.energy import nvml, physics
from pytest_llem.energy.recording import Recording
from pytest_llem.results.model import CrossCheck, DeviceEnergy, Interval
from pytest_llem.results.spread import spread
from pytest_llem.runners.assemble import Measured, add
from pytest_llem.runners.worker_result import WorkerResult
from pytest_llem.study.config import ExperimentConfig

Fields = dict[str, Any]


def work(worker: WorkerResult) -> Fields:
    """Tokens, requests and time, all of the same windows."""
    windows = worker.windows
    duration = sum(w.end - w.start for w in windows)
    output, requests = sum(w.output_tokens for w in windows), sum(w.requests for w in windows)
    return {
        "input_tokens": sum(w.input_tokens for w in windows),
        "output_tokens": output,
        "requests": requests,
        "duration_s": duration,
        "output_tokens_per_s": output / duration,
        "requests_per_s": requests / duration,
        "output_hash": worker.output_hash,
        "prompt_hash": worker.prompts.hash,
        "prompts_cut": worker.prompts.cut,
    }


def latency(worker: WorkerResult) -> Fields:
    """TTFT, TPOT, ITL and end-to-end latency over all requests of all windows."""
    return {
        name: spread([seconds for window in worker.windows for seconds in getattr(window, name)])
        for name in ("ttft_s", "tpot_s", "itl_s", "e2el_s")
    }


def energy(measured: Measured, recording: Recording, idle: tuple[float, float] | None, done: Fields) -> Fields:
    """Everything in joules and watts but the phases. ``done``: the fields of :func:`work`."""
    figure, meter = measured.figure, recording.meter
    fields: Fields = {"energy_source": meter.source, "measured": meter.measured, "method": _methods(measured)}
    fields["devices"] = devices(measured, recording, idle)
    idle_w = _sum([device.idle_power_w for device in fields["devices"]])
    fields["idle_power_w"] = idle_w
    fields["loaded_idle_power_w"] = _sum([device.loaded_idle_power_w for device in fields["devices"]])
    fields["cross_check"] = cross_check(measured)
    fields["energy_j"] = None
    if figure is None:
        return fields
    total, ends = figure.energy_j, figure.energy_ci95
    fields |= {"energy_j": total, "energy_j_ci95": ends, "mean_power_w": total / done["duration_s"]}
    for name, units in (
        ("energy_per_output_token_j", done["output_tokens"]),
        ("energy_per_total_token_j", done["output_tokens"] + done["input_tokens"]),
        ("energy_per_request_j", done["requests"]),
    ):
        fields[name] = total / units
        fields[f"{name}_ci95"] = (ends[0] / units, ends[1] / units)
    if idle_w is not None:
        fields["energy_above_idle_j"] = total - idle_w * done["duration_s"]
    return fields


def _methods(measured: Measured) -> str:
    return " and ".join(dict.fromkeys(e.method for e in measured.flat)) or "none"


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def devices(measured: Measured, recording: Recording, idle: tuple[float, float] | None) -> tuple[DeviceEnergy, ...]:
    """Each device's share of the windows."""
    found = []
    for number, device in enumerate(recording.devices):
        mine = [row[number] for row in measured.energies]
        total = add((e.energy_j, e.ci95) for e in mine)
        loaded = [e.idle_power_w for e in mine if e.idle_power_w is not None]
        spans = [(w.start, w.end) for w in measured.windows]
        rows = [r for r in recording.rows[device.uuid] if any(a <= r.time <= b for a, b in spans)]
        seconds = sum(b - a for a, b in spans)
        before = recording.mean_power(device.uuid, *idle) if idle else None
        found.append(
            DeviceEnergy(
                uuid=device.uuid,
                name=device.name,
                energy_j=None if total is None else total[0],
                energy_j_ci95=None if total is None else total[1],
                mean_power_w=None if total is None else total[0] / seconds,
                idle_power_w=None if before is None else before[0],
                loaded_idle_power_w=sum(loaded) / len(loaded) if loaded else None,
                power_limit_w=device.power_limit_w,
                max_temperature_c=max((r.temperature_c for r in rows if r.temperature_c is not None), default=None),
                mean_sm_clock_hz=_mean([r.sm_clock_hz for r in rows if r.sm_clock_hz is not None]),
                throttle_reasons=tuple(
                    dict.fromkeys(name for row in rows for name in nvml.throttle_reasons(row.throttle_reasons))
                ),
            )
        )
    return tuple(found)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def cross_check(measured: Measured) -> CrossCheck | None:
    """The worst disagreement between the two sources in any window."""
    checks = [energy.cross_check for energy in measured.flat if energy.cross_check is not None]
    if not checks:
        return None
    source, difference = max(checks, key=lambda check: abs(check[1]))
    return CrossCheck(source=source, relative_difference=difference)


def phases(measured: Measured) -> Fields:
    """Prefill and decode, where every window was marked so."""
    fields: Fields = {}
    for label in ("prefill", "decode"):
        found: tuple[float, Interval] | None = measured.phases.get(label)
        fields[f"{label}_energy_j"] = None if found is None else found[0]
        fields[f"{label}_energy_j_ci95"] = None if found is None else found[1]
    return fields


def cpu_energy(worker: WorkerResult, cpu: Recording | None) -> float | None:
    """The CPU packages' energy in the same windows, from a second meter beside the GPU's."""
    if cpu is None:
        return None
    parts = [
        (cpu.mean_power(device.uuid, window.start, window.end), window.end - window.start)
        for window in worker.windows
        for device in cpu.devices
    ]
    if any(power is None for power, _ in parts):
        return None
    return math.fsum(power[0] * seconds for power, seconds in parts if power is not None)


def memory(worker: WorkerResult, recording: Recording, idle: tuple[float, float] | None) -> Fields:
    """``peak_memory_bytes``: the largest amount of memory in use by the experiment between the start of loading and the
    end of the last window, above what was in use before. By NVML where GPUs were recorded, else as the worker says."""
    facts, end = worker.facts, worker.windows[-1].end if worker.windows else worker.load.end
    fields: Fields = {"model_memory_bytes": facts.weight_bytes}
    peaks = []
    for device in recording.devices:
        before = recording.peak_memory_bytes(device.uuid, *idle) if idle else None
        during = recording.peak_memory_bytes(device.uuid, worker.load.start, end)
        if before is not None and during is not None:
            peaks.append(max(0, during - before))
    if peaks and len(peaks) == len(recording.devices):
        return {**fields, "peak_memory_bytes": sum(peaks), "memory_source": "NVML, memory in use on the devices"}
    return {**fields, "peak_memory_bytes": worker.peak_memory.bytes, "memory_source": worker.peak_memory.how}


def compute(worker: WorkerResult, recording: Recording, config: ExperimentConfig, done: Fields) -> Fields:
    """Parameters, FLOPs, MFU, and how near the energy came to what physics allows."""
    facts = worker.facts
    fields: Fields = {
        "parameters": facts.parameters,
        "active_parameters": facts.active_parameters,
        "random_weights": facts.random_weights,
        "model_dtype": facts.dtype,
        "model_device": facts.device,
    }
    if facts.flops_per_token is None or not done["requests"]:
        return fields
    # Requests of one experiment are taken as equally long: exact for prompts and answers of fixed length.
    each = physics.Request(done["input_tokens"] // done["requests"], done["output_tokens"] // done["requests"])
    requests = [each] * done["requests"]
    use_cache = config.pytorch is None or config.pytorch.use_cache
    flops, formula = physics.run_flops(
        requests, facts.flops_per_token, facts.attention_flops_per_token_pair, use_cache=use_cache
    )
    fields |= {"flops": flops, "flops_formula": formula}
    spec = physics.find_spec(recording.devices[0].name)
    if spec is None:
        return fields
    count = len(recording.devices)
    fields["mfu"] = physics.mfu(flops, done["duration_s"], spec, count)
    if facts.weight_bytes is None or facts.kv_bytes_per_token is None:
        return fields
    passes = max(1, done["output_tokens"] // concurrency(config, worker))
    read = physics.run_bytes(requests, passes, facts.weight_bytes, facts.kv_bytes_per_token)
    seconds = physics.floor_s(read, flops, spec, count)
    if done["idle_power_w"] is not None and done["energy_j"]:
        fields["energy_optimality"] = physics.energy_optimality(seconds, done["idle_power_w"], done["energy_j"])
    return fields


def concurrency(config: ExperimentConfig, worker: WorkerResult) -> int:
    """The most sequences that one forward pass can serve."""
    if config.pytorch is not None:
        return min(config.pytorch.batch_size, worker.prompts.n)
    limit = config.vllm.engine.max_num_seqs if config.vllm is not None else None
    return min(limit or worker.prompts.n, worker.prompts.n)
