"""The groups of a result's fields, each from what was observed and measured; pure."""

from __future__ import annotations

from typing import Any

from pytest_llem.energy import nvml, physics
from pytest_llem.results.model import CrossCheck, DeviceEnergy
from pytest_llem.results.spread import spread
from pytest_llem.runners.assemble import Measured, Observed, add
from pytest_llem.runners.job import WorkerResult
from pytest_llem.study.config import ExperimentConfig

Fields = dict[str, Any]


def work(worker: WorkerResult) -> Fields:
    """Tokens, requests and time, all of the same windows."""
    duration = sum(w.end - w.start for w in worker.windows)
    done = {
        name: sum(getattr(w, name) for w in worker.windows) for name in ("input_tokens", "output_tokens", "requests")
    }
    return {
        **done,
        "duration_s": duration,
        "output_tokens_per_s": done["output_tokens"] / duration,
        "requests_per_s": done["requests"] / duration,
        "output_hash": worker.output_hash,
        "prompt_hash": worker.prompt_hash,
        "prompts_cut": worker.prompts_cut,
    }


def latency(worker: WorkerResult) -> Fields:
    """TTFT, TPOT, ITL and end-to-end latency over all requests of all windows."""
    return {
        name: spread([seconds for window in worker.windows for seconds in getattr(window, name)])
        for name in ("ttft_s", "tpot_s", "itl_s", "e2el_s")
    }


def phases(measured: Measured) -> Fields:
    """Prefill and decode, where every window was marked so."""
    fields: Fields = {}
    for label in ("prefill", "decode"):
        fields[f"{label}_energy_j"], fields[f"{label}_energy_j_ci95"] = measured.phases.get(label, (None, None))
    return fields


def energy(measured: Measured, seen: Observed, done: Fields) -> Fields:
    """Everything in joules and watts but the phases. ``done``: the fields of :func:`work`."""
    figure, meter = measured.figure, seen.recording.meter
    devices = tuple(_device(number, measured, seen) for number in range(len(seen.recording.devices)))
    idle_w = _sum([device.idle_power_w for device in devices])
    fields: Fields = {
        "energy_source": meter.source,
        "measured": meter.measured,
        "method": " and ".join(dict.fromkeys(one.method for one in measured.flat)) or "none",
        "devices": devices,
        "idle_power_w": idle_w,
        "loaded_idle_power_w": _sum([device.loaded_idle_power_w for device in devices]),
        "cross_check": _cross_check(measured),
        "energy_j": None,
    }
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


def _device(number: int, measured: Measured, seen: Observed) -> DeviceEnergy:
    """One device's share of the windows."""
    device = seen.recording.devices[number]
    mine = [row[number] for row in measured.energies]
    total, ends = add((e.energy_j, e.ci95) for e in mine) or (None, None)
    loaded = [e.idle_power_w for e in mine if e.idle_power_w is not None]
    rows = [
        row for row in seen.recording.rows[device.uuid] if any(w.start <= row.time <= w.end for w in measured.windows)
    ]
    before = seen.recording.mean_power(device.uuid, *seen.idle) if seen.idle else None
    return DeviceEnergy(
        uuid=device.uuid,
        name=device.name,
        energy_j=total,
        energy_j_ci95=ends,
        mean_power_w=None if total is None else total / sum(w.end - w.start for w in measured.windows),
        idle_power_w=None if before is None else before[0],
        loaded_idle_power_w=_mean(loaded),
        power_limit_w=device.power_limit_w,
        max_temperature_c=max((r.temperature_c for r in rows if r.temperature_c is not None), default=None),
        mean_sm_clock_hz=_mean([r.sm_clock_hz for r in rows if r.sm_clock_hz is not None]),
        throttle_reasons=tuple(
            dict.fromkeys(name for row in rows for name in nvml.throttle_reasons(row.throttle_reasons))
        ),
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _cross_check(measured: Measured) -> CrossCheck | None:
    """The worst disagreement between the two sources in any window."""
    checks = [one.cross_check for one in measured.flat if one.cross_check is not None]
    if not checks:
        return None
    source, difference = max(checks, key=lambda check: abs(check[1]))
    return CrossCheck(source=source, relative_difference=difference)


def cpu_energy(seen: Observed) -> float | None:
    """The CPU packages' energy in the same windows, from the meter beside the GPU's."""
    if seen.beside is None:
        return None
    total = 0.0
    for window in seen.worker.windows:
        for device in seen.beside.devices:
            power = seen.beside.mean_power(device.uuid, window.start, window.end)
            if power is None:
                return None
            total += power[0] * (window.end - window.start)
    return total


def memory(seen: Observed) -> Fields:
    """``peak_memory_bytes``: the largest amount of memory in use by the experiment between the start of loading and the
    end of the last window, above what was in use before. By NVML where GPUs were recorded, else as the worker says."""
    worker, recording = seen.worker, seen.recording
    end = max((window.end for window in worker.windows), default=worker.load_start)
    fields: Fields = {"model_memory_bytes": worker.facts.weight_bytes}
    peaks = []
    for device in recording.devices:
        before = recording.peak_memory_bytes(device.uuid, *seen.idle) if seen.idle else None
        during = recording.peak_memory_bytes(device.uuid, worker.load_start, end)
        if before is not None and during is not None:
            peaks.append(max(0, during - before))
    if peaks and len(peaks) == len(recording.devices):
        return {**fields, "peak_memory_bytes": sum(peaks), "memory_source": "NVML, memory in use on the devices"}
    return {**fields, "peak_memory_bytes": worker.peak_memory_bytes, "memory_source": worker.memory_source}


def compute(seen: Observed, config: ExperimentConfig, done: Fields) -> Fields:
    """Parameters, FLOPs, MFU, and how near the energy came to what physics allows."""
    facts, devices = seen.worker.facts, seen.recording.devices
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
    spec = physics.find_spec(devices[0].name)
    if spec is None:
        return fields
    fields["mfu"] = physics.mfu(flops, done["duration_s"], spec, len(devices))
    if facts.weight_bytes is None or facts.kv_bytes_per_token is None or _drafts(config):
        return fields
    passes = max(1, done["output_tokens"] // _concurrency(config, seen.worker.prompts))
    # A pass reads at least the experts of one token.
    active = (facts.active_parameters or facts.parameters or 1) / (facts.parameters or 1)
    read = physics.run_bytes(requests, passes, active * facts.weight_bytes, facts.kv_bytes_per_token)
    seconds = physics.floor_s(read, flops, spec, len(devices))
    if done["idle_power_w"] is not None and done["energy_j"]:
        fields["energy_optimality"] = physics.energy_optimality(seconds, done["idle_power_w"], done["energy_j"])
    return fields


def _drafts(config: ExperimentConfig) -> bool:
    """Whether one pass may make several tokens of a sequence, so that nobody knows how often the weights were read."""
    if config.vllm is not None:
        return config.vllm.engine.speculative_config is not None
    own = config.pytorch
    return own is not None and (own.assistant_model is not None or own.prompt_lookup_num_tokens is not None)


def _concurrency(config: ExperimentConfig, prompts: int) -> int:
    """The most sequences that one forward pass can serve."""
    limit = config.vllm.engine.max_num_seqs if config.vllm is not None else None
    if config.pytorch is not None:
        limit = config.pytorch.batch_size
    return min(limit or prompts, prompts)
