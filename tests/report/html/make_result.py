"""One plausible result of an experiment on an H200: a simple roofline says how fast, everything else follows."""

from __future__ import annotations

import hashlib
import json
import math
import random
from dataclasses import dataclass
from typing import Any

from pytest_llem.results.budgets import judge
from pytest_llem.results.model import DeviceEnergy, ExperimentResult, Spread, Validity, Warmup, Window
from pytest_llem.study.budget import Budget

UUID = "GPU-5a1c3b52-0d4e-7f6a-9b1c-2e3d4f5a6b7c"
PARAMETERS = {"shape:llama-1b": 1.24e9, "shape:llama-8b": 8.03e9, "shape:llama-70b": 70.6e9}
BUDGETS = (Budget(metric="energy_per_output_token_j", max=3.0), Budget(metric="output_tokens_per_s", min=50.0))
_IDLE_W, _LENGTH_S, _REPEATS = 81.2, 2.1, 3
_BANDWIDTH, _PEAK = 4.8e12, 989.4e12


@dataclass(frozen=True)
class Load:
    """What an experiment's configuration means for the machine."""

    parameters: float
    vllm: bool
    batch: int
    into: int
    out: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Load:
        vllm = config["backend"] == "vllm"
        batch = config["vllm"]["engine"]["max_num_seqs"] if vllm else config["pytorch"]["batch_size"]
        into, out = config["dataset"]["input_tokens"], config["max_output_tokens"]
        return cls(PARAMETERS[config["model"]["id"]], vllm, batch, into, out)

    @property
    def step_bytes(self) -> float:
        """Weights, and the cache of all sequences at half their length."""
        return 2 * self.parameters + self.batch * (self.into + self.out / 2) * self.parameters * 1.6e-5

    @property
    def step_s(self) -> float:
        arithmetic = 2 * self.parameters * self.batch / 600e12
        return max(self.step_bytes / _BANDWIDTH, arithmetic) + (8e-4 if self.vllm else 0.013)

    @property
    def prefill_s(self) -> float:
        return 2 * self.parameters * self.batch * self.into / 500e12 + 0.004

    @property
    def tokens_per_s(self) -> float:
        return self.batch * self.out / (self.out * self.step_s + self.prefill_s)

    @property
    def power_w(self) -> float:
        return 125 + 570 * min(1.0, 2 * self.parameters / _BANDWIDTH / self.step_s + self.batch / 600)


def config_hash(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config).encode()).hexdigest()[:16]


def make_result(run: str, cell_id: str, cycle: int, config: dict[str, Any], number: int) -> ExperimentResult:
    """The result of cell ``number``: now and then an estimate (13, 110, …), an invalid one (30, 113, …), or one so
    uncertain that a budget near it cannot be decided (7, 48, …)."""
    load, rng = Load.of(config), random.Random(f"{cell_id}{number}")
    estimated, invalid = number % 97 == 13, number % 83 == 30
    half = 0.25 if number % 41 == 7 else 0.011
    windows = tuple(_window(load, i, half, rng) for i in range(_REPEATS))
    settled = number % 29 != 3
    result = ExperimentResult(
        tool_version="0.1.0",
        run_id=run,
        study="batching",
        cell_id=cell_id,
        config_hash=config_hash(config),
        environment_hash="9c1185a5c5e9fc54",
        cycle=cycle,
        started_at="2026-11-23T10:15:00.000Z",
        finished_at="2026-11-23T10:15:40.000Z",
        config=config,
        runner={"runner": "docker" if load.vllm else "local", "decided_by": "study"},
        **_energy(windows, half, estimated),
        **_work(windows),
        **_speed(load),
        **_compute(load, windows),
        warmup=Warmup(n=4, converged=settled, cv=0.01, seconds=6.0),
        throttled=False,
        validity=Validity(
            valid=not invalid,
            reasons=("estimated_energy",) if estimated else ("sources_disagree",) if invalid else (),
            notes=("the counter and the power samples differ by 6.1 %",) if invalid else (),
            missing={
                "itl_s": "token times were not asked for (measure.token_times)",
                **({"throttled": "this meter reads no throttle reasons"} if estimated else {}),
            },
        ),
        versions={"torch": "2.13.0", **({"vllm": "0.26.0"} if load.vllm else {"transformers": "5.17.0"})},
        warnings=() if settled else ("the warm-up did not settle: the last passes varied by 9 %",),
    )
    return result.model_copy(update={"verdicts": judge(result, BUDGETS)})


def _window(load: Load, index: int, half: float, rng: random.Random) -> Window:
    energy = load.power_w * _LENGTH_S * rng.gauss(1, 0.004)
    tokens = load.tokens_per_s * _LENGTH_S * rng.gauss(1, 0.004)
    start = 100 + 3.4 * index
    return Window(
        start=start,
        end=start + _LENGTH_S,
        passes=3,
        requests=round(tokens / load.out) + 1,
        input_tokens=round(tokens / load.out * load.into),
        output_tokens=round(tokens),
        energy_j=energy,
        energy_j_ci95=(energy * (1 - half), energy * (1 + half)),
    )


def _sum(windows: tuple[Window, ...], name: str) -> float:
    return math.fsum(getattr(window, name) for window in windows)


def _energy(windows: tuple[Window, ...], half: float, estimated: bool) -> dict[str, Any]:
    energy, seconds = _sum(windows, "energy_j"), _REPEATS * _LENGTH_S
    tokens, prompt = _sum(windows, "output_tokens"), _sum(windows, "input_tokens")
    found: dict[str, Any] = {}
    for name, units in (
        ("energy_j", 1.0),
        ("energy_per_output_token_j", tokens),
        ("energy_per_total_token_j", tokens + prompt),
        ("energy_per_request_j", _sum(windows, "requests")),
    ):
        found[name] = energy / units
        found[f"{name}_ci95"] = (energy / units * (1 - half), energy / units * (1 + half))
    power = {"mean_power_w": energy / seconds, "idle_power_w": _IDLE_W, "loaded_idle_power_w": 124.6}
    device = DeviceEnergy(
        uuid="cpu" if estimated else UUID,
        name="CPU (estimate)" if estimated else "NVIDIA H200",
        energy_j=energy,
        power_limit_w=None if estimated else 700.0,
        max_temperature_c=None if estimated else 58.0,
        **power,
    )
    source = {"energy_source": "cpu_estimate" if estimated else "nvml_counter", "method": "bracketed"}
    return {**found, **power, **source, "measured": not estimated, "devices": (device,), "repeats": windows}


def _work(windows: tuple[Window, ...]) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "requests")
    counts = {name: round(_sum(windows, name)) for name in names}
    seconds = _REPEATS * _LENGTH_S
    return {
        **counts,
        "duration_s": seconds,
        "output_tokens_per_s": counts["output_tokens"] / seconds,
        "requests_per_s": counts["requests"] / seconds,
        "output_hash": "ab",
        "prompt_hash": "cd",
    }


def _speed(load: Load) -> dict[str, Any]:
    seconds = {
        "ttft_s": load.prefill_s + load.step_s,
        "tpot_s": load.step_s,
        "e2el_s": load.prefill_s + load.out * load.step_s,
    }
    return {
        name: Spread(mean=s, median=s, p50=s, p90=1.1 * s, p95=1.15 * s, p99=1.3 * s, n=256)
        for name, s in seconds.items()
    }


def _compute(load: Load, windows: tuple[Window, ...]) -> dict[str, Any]:
    tokens, prompt = _sum(windows, "output_tokens"), _sum(windows, "input_tokens")
    flops = 2 * load.parameters * (tokens + prompt)
    floor_s = max(tokens / load.batch * load.step_bytes / _BANDWIDTH, flops / _PEAK)
    return {
        "peak_memory_bytes": int(2.2 * load.parameters + 4e9),
        "model_memory_bytes": int(2 * load.parameters),
        "memory_source": "NVML, memory in use on the devices",
        "parameters": int(load.parameters),
        "flops": flops,
        "flops_formula": "2 for each parameter and token",
        "mfu": flops / (_REPEATS * _LENGTH_S) / _PEAK,
        "energy_optimality": floor_s * _IDLE_W / _sum(windows, "energy_j"),
        "random_weights": True,
        "model_dtype": "bfloat16",
        "model_device": "cuda:0",
    }
