"""Writes results.md, the reference of a result, from the models that write it: run it after changing them.

Types come from the models; what a field means stands here, and a field that has no meaning here ends the run. A test
compares the page with what this would write.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from pytest_llem.results.manifest import Entry, Manifest
from pytest_llem.results.model import (
    CrossCheck,
    DeviceEnergy,
    ExperimentResult,
    RecorderCost,
    Spread,
    Validity,
    Verdict,
    Warmup,
    Window,
)

PAGE = Path(__file__).parent / "results.md"
CI95 = "_ci95"

INTRODUCTION = """# Read a result

Results go below `llem-results/`, or where [`--llem-results`](options.md) says. Each run of a study has a folder of its
own, which no other run writes to:

```text
llem-results/
  batching-20261123T101500Z-7f3c/
    study.yaml           the study as it was
    manifest.json        every experiment and how it stands, true at every moment, also after a kill
    environment.json     the machine: driver, GPUs, CPU, libraries, state of the study's repository
    pytorch-bs16-out128-c2/
      result.json        this page
      config.json        the effective configuration, every default filled in
      trace.json.gz      the meter's raw readings around each window: `llem replay` evaluates them again
      timeseries.parquet power, temperature, memory, clocks over the whole experiment
      worker.log         what the worker printed
```

Every file is written under a temporary name, synced and renamed, so it is whole or not there. The results' folder has a
`.gitignore` of its own. `timeseries.parquet` needs `pytest-llem[report]`.

Figures are SI base units, never rounded. A figure that was not measured is `null`, never 0, and `validity.missing` says
why. Times called `start` and `end` are seconds on `CLOCK_MONOTONIC`. `llem schema result` prints the JSON Schema.
Within a schema version fields are only added.

In Python:

```python
from pathlib import Path

from pytest_llem.results.store import read_result

for path in Path("llem-results").glob("*/*/result.json"):
    result = read_result(path)
    value, interval = result.figure("energy_per_output_token_j")
    print(result.cell_id, value, interval, result.validity.reasons)
```

A field with an *interval* has a second one of the same name and `_ci95`: `[low, high]`, which holds the true value 95 %
of the time.
"""

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Identity": {
        "schema_version": "version of this format",
        "tool_version": "pytest-llem's",
        "run_id": "name of the run's folder",
        "study": "name of the study",
        "cell_id": "name of the experiment in it, with its cycle",
        "config_hash": "same experiment, same hash, whatever the machine, the runner or the cycle",
        "environment_hash": "same surroundings, same hash",
        "cycle": "from 1",
        "started_at": "ISO 8601, UTC",
        "finished_at": "ISO 8601, UTC",
        "config": "the effective configuration, complete",
        "runner": "`runner`, `decided_by`, and for a container image, digest, engine, way to the GPU",
        "variant": "of a study with two: `name`, `against` (the first's), `git`, `commit`, `python`, `setup`, `image`",
    },
    "Energy": {
        "energy_j": "gross energy of all devices in the measured windows, idle power included",
        "energy_per_output_token_j": "over the generated tokens",
        "energy_per_total_token_j": "over tokens read and generated",
        "energy_per_request_j": "over the requests",
        "energy_above_idle_j": "less idle power for as long as the windows took",
        "idle_power_w": "before the worker was started",
        "loaded_idle_power_w": "beside the windows, with the model loaded",
        "mean_power_w": "energy over duration",
        "devices": "[each device](#a-device)",
        "cpu_energy_j": "the CPU packages' energy in the same windows, by RAPL beside a GPU's meter",
        "energy_source": "`nvml_counter`, `nvml_power`, `rapl`, `zeus`, `codecarbon`, `cpu_estimate`, `replay`, or a "
        "third party's own",
        "measured": "false for an estimate and for a played recording",
        "method": "the [estimator](measuring.md#how-a-windows-energy-is-found)",
        "cross_check": "the [second source](#the-cross-check), worst window",
    },
    "Phases": {
        "prefill_energy_j": "energy until the first token",
        "decode_energy_j": "energy after the first token",
    },
    "Repeats": {"repeats": "[every window](#a-window)"},
    "Work": {
        "input_tokens": "tokens read, all windows together",
        "output_tokens": "tokens generated, up to and including the end token; no padding",
        "requests": "prompts answered",
        "duration_s": "length of all windows together",
        "output_tokens_per_s": "generated tokens in a second of these",
        "requests_per_s": "requests in a second of these",
        "output_hash": "sha256 over one pass's generated ids",
        "prompt_hash": "sha256 over the prompts' ids",
        "prompts_cut": "how many prompts were cut to `dataset.input_tokens`",
    },
    "Latency": {
        "ttft_s": "time to the first token: [statistics](#a-latency) over all requests",
        "tpot_s": "time for each output token after the first: (e2el − ttft) ÷ (tokens − 1)",
        "itl_s": "gaps between tokens, with `measure.token_times`",
        "e2el_s": "time from handing a request over to its last token",
    },
    "Memory": {
        "peak_memory_bytes": "largest amount of GPU memory in use by the experiment's processes, from the "
        "start of loading to the end of the last window, above what was in use before; "
        "[how it is read](measuring.md#what-a-figure-is)",
        "model_memory_bytes": "weights of the loaded model",
        "memory_source": "how the peak was read",
    },
    "Compute": {
        "parameters": "all, counted",
        "active_parameters": "used for one token; fewer in a mixture of experts",
        "flops": "arithmetic that the model needs for this work",
        "flops_formula": "how they were counted",
        "mfu": "model FLOPs utilisation, 0 to 1",
        "energy_optimality": "physical bound over measured energy, 0 to 1",
        "random_weights": "the answers mean nothing",
        "model_dtype": "as loaded",
        "model_device": "of the weights",
    },
    "Quality": {
        "warmup": "how the [warm-up](#the-warm-up) went",
        "throttled": "clocks were lowered because of heat, or for protection",
        "start_temperature_c": "before the first window",
        "lock_wait_s": "waited for a free device",
        "recorder": "what [recording](#the-recorder) took",
        "timeseries": "name of the file with everything over time",
        "validity": "how far to [trust it](#validity)",
        "versions": "of the worker's libraries",
        "warnings": "sentences for people: [Warnings](warnings.md)",
    },
    "Verdicts": {"verdicts": "[every budget](#a-verdict), judged"},
}

PARTS: Mapping[str, tuple[type[BaseModel], Mapping[str, str]]] = {
    "A device": (
        DeviceEnergy,
        {
            "uuid": "of the GPU; `package-0` or `cpu` without one",
            "name": "as the driver gives it",
            "energy_j": "this device's share",
            "mean_power_w": "in the windows",
            "idle_power_w": "before the worker was started",
            "loaded_idle_power_w": "beside the windows",
            "power_limit_w": "as enforced",
            "max_temperature_c": "in the windows",
            "mean_sm_clock_hz": "in the windows",
            "throttle_reasons": "NVML's names of all clock event reasons seen in the windows",
        },
    ),
    "The cross check": (
        CrossCheck,
        {"source": "the second source", "relative_difference": "(second − first) ÷ first"},
    ),
    "A window": (
        Window,
        {
            "start": "s",
            "end": "s",
            "passes": "passes through the workload",
            "requests": "in this window",
            "input_tokens": "in this window",
            "output_tokens": "in this window",
            "energy_j": "of this window",
        },
    ),
    "A latency": (
        Spread,
        {
            "mean": "s",
            "median": "s",
            "p50": "s",
            "p90": "s",
            "p95": "s",
            "p99": "s",
            "n": "number of requests, or of gaps",
        },
    ),
    "The warm-up": (
        Warmup,
        {
            "n": "passes",
            "converged": "the last three varied by no more than `measure.warmup_cv`",
            "cv": "coefficient of variation of the last three",
            "seconds": "how long it took",
        },
    ),
    "The recorder": (
        RecorderCost,
        {
            "cpu_share": "CPU time over the time it ran; 1.0 is one core",
            "counter_reads": "number",
            "power_reads": "number",
            "counter_read_s": "cost of one counter read",
        },
    ),
    "Validity": (
        Validity,
        {
            "valid": "false: the energy must not be used",
            "reasons": "[codes](measuring.md#reason-codes)",
            "notes": "sentences for people",
            "missing": "for each null figure, why",
        },
    ),
    "A verdict": (
        Verdict,
        {
            "metric": "what is limited",
            "min": "the least it may be",
            "max": "the most it may be",
            "value": "what was found",
            "interval": "its 95 % interval",
            "outcome": "`pass`: the interval is within the limits; `fail`: all of it is outside; else `inconclusive`",
            "reason": "why it is not sure",
        },
    ),
}

MANIFESTS: Mapping[str, tuple[type[BaseModel], Mapping[str, str]]] = {
    "The run": (
        Manifest,
        {
            "manifest_version": "version of this format",
            "tool_version": "pytest-llem's",
            "run_id": "name of the run's folder",
            "study": "name of the study",
            "study_file": "where it was",
            "study_hash": "hash of what is measured, how often and in which order",
            "started_at": "ISO 8601, UTC",
            "finished_at": "ISO 8601, UTC",
            "status": "of the run",
            "note": "why it was stopped",
            "max_consecutive_failures": "so many failures in a row stop the run; 0: none does",
            "max_cycles": "of a study with `cycles: auto`: the most cycles that it may take",
            "cells": "each experiment",
        },
    ),
    "An experiment of the run": (
        Entry,
        {
            "nodeid": "pytest's name of the item",
            "cell_id": "name of the experiment",
            "config_hash": "as in the result",
            "cycle": "from 1",
            "status": "of the experiment",
            "started_at": "ISO 8601, UTC",
            "finished_at": "ISO 8601, UTC",
            "result": "path of its result, below the run's folder",
            "error_type": "class of the error that ended it",
            "error_message": "and its words",
        },
    ),
}


def page() -> str:
    """The whole page."""
    told = [name for group in GROUPS.values() for name in group]
    _require_same(ExperimentResult, told)
    parts = [INTRODUCTION]
    parts += [f"## {title}\n\n{_table(ExperimentResult, group)}" for title, group in GROUPS.items()]
    parts.append("## Parts of a result\n")
    parts += _sections(PARTS)
    parts.append("## Manifest\n")
    parts += _sections(MANIFESTS)
    return "\n".join(parts)


def _sections(sections: Mapping[str, tuple[type[BaseModel], Mapping[str, str]]]) -> Iterator[str]:
    for title, (model, meanings) in sections.items():
        _require_same(model, list(meanings))
        yield f"### {title}\n\n{_table(model, meanings)}"


def _require_same(model: type[BaseModel], told: list[str]) -> None:
    """Every field but the intervals is explained once, and nothing else is."""
    fields = [name for name in model.model_fields if not name.endswith(CI95)]
    if sorted(fields) != sorted(told):
        raise SystemExit(f"{model.__name__}: explained and there differ in {sorted(set(fields) ^ set(told))}")


def _table(model: type[BaseModel], meanings: Mapping[str, str]) -> str:
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    for name, meaning in meanings.items():
        interval = ", interval" if f"{name}{CI95}" in model.model_fields else ""
        rows.append(f"| `{name}` | {_type(model.model_fields[name].annotation)}{interval} | {meaning} |")
    return "\n".join(rows) + "\n"


def _type(annotation: Any) -> str:
    """A type in the words of JSON."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " ".join(f"`{value}`" for value in arguments)
    if origin is tuple and arguments[-1] is ...:
        return f"list of {_plural(_type(arguments[0]))}"
    if origin is tuple:
        return "[low, high]"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "object"
    names: dict[Any, str] = {float: "number", int: "integer", str: "string", bool: "boolean", type(None): "null"}
    return names[annotation]


def _plural(word: str) -> str:
    return f"{word}s"


if __name__ == "__main__":
    PAGE.write_text(page())
