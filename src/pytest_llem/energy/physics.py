"""How much arithmetic and memory traffic a run needs, what GPUs can do, and the least energy that it could have taken.

The counts follow the transformer's forward pass as in Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
table 1: 2 FLOPs for each weight and token, and attention apart. What GPUs could do is from NVIDIA's data sheets; peaks
are dense (without 2:4 sparsity, which doubles the printed figures) for bf16 with accumulation in 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FORMULA = "2 x active weights x forwarded tokens + attention x (query, key) pairs"
FORMULA_WITHOUT_ATTENTION = "2 x active weights x forwarded tokens, attention left out"
CACHE_BYTES = 200e6
"""Weights that may stay in the GPU's cache from one step to the next, and need not be read from memory again. No known
GPU has a last-level cache as large as this, so the floor stays a floor."""


@dataclass(frozen=True)
class GpuSpec:
    """Stated figures of one product; bandwidth in bytes/s, peak in FLOP/s, power in W."""

    name: str
    memory_bandwidth_bytes_per_s: float
    peak_bf16_flops_per_s: float
    tdp_w: float
    source: str


_A100 = "NVIDIA A100 Tensor Core GPU data sheet (2021)"
_H100 = "NVIDIA H100 Tensor Core GPU data sheet (2023)"
_H200 = "NVIDIA H200 Tensor Core GPU data sheet (2024)"

# By the name that NVML gives, without its leading "NVIDIA ".
SPECS = {
    "A100-SXM4-40GB": GpuSpec("A100 SXM 40 GB", 1.555e12, 312e12, 400, _A100),
    "A100-PCIE-40GB": GpuSpec("A100 PCIe 40 GB", 1.555e12, 312e12, 250, _A100),
    "A100-SXM4-80GB": GpuSpec("A100 SXM 80 GB", 2.039e12, 312e12, 400, _A100),
    "A100 80GB PCIe": GpuSpec("A100 PCIe 80 GB", 1.935e12, 312e12, 300, _A100),
    "H100 80GB HBM3": GpuSpec("H100 SXM", 3.35e12, 989.4e12, 700, _H100),
    "H100 PCIe": GpuSpec("H100 PCIe", 2.0e12, 756.5e12, 350, _H100),
    "H100 NVL": GpuSpec("H100 NVL", 3.9e12, 835.5e12, 400, _H100),
    "H200": GpuSpec("H200 SXM", 4.8e12, 989.4e12, 700, _H200),
    "H200 NVL": GpuSpec("H200 NVL", 4.8e12, 835.5e12, 600, _H200),
    "L40S": GpuSpec("L40S", 0.864e12, 362.05e12, 350, "NVIDIA L40S data sheet (2023)"),
    "B200": GpuSpec("B200 SXM", 8.0e12, 2250e12, 1000, "NVIDIA DGX B200 data sheet (2024), one of eight GPUs"),
    "GeForce RTX 4090": GpuSpec(
        "RTX 4090", 1.008e12, 165.2e12, 450, "NVIDIA Ada GPU Architecture whitepaper (2022), appendix A"
    ),
}


def find_spec(nvml_name: str) -> GpuSpec | None:
    """The stated figures of a GPU by the name that NVML gives it; None for a GPU that is not in the table.

    Names must agree exactly: an "RTX 4090 D" or a laptop's 4090 is another product with other figures.
    """
    return SPECS.get(nvml_name.removeprefix("NVIDIA ").strip())


@dataclass(frozen=True)
class Request:
    """One sequence: how long its prompt and how many tokens were generated."""

    input_tokens: int
    output_tokens: int


def run_flops(
    requests: Iterable[Request], flops_per_token: float, flops_per_pair: float | None, *, use_cache: bool = True
) -> tuple[float, str]:
    """FLOPs to answer all requests, and the name of the formula that counted them.

    ``flops_per_token``: matrix products of one token's forward pass (2 × active weights). ``flops_per_pair``:
    attention's for one query and one key, over all layers; None leaves attention out and says so. Without a cache of
    keys and values each step forwards the whole sequence again. Padding is not counted: it is waste, not work.
    """
    tokens = pairs = 0
    for request in requests:
        first, last = request.input_tokens, request.input_tokens + request.output_tokens - 1
        if request.output_tokens < 1:
            continue
        # The last generated token is never fed back. Under a causal mask a pass over n tokens has n (n + 1) / 2 pairs.
        lengths = [last] if use_cache else range(first, last + 1)
        tokens += sum(lengths)
        pairs += sum(n * (n + 1) // 2 for n in lengths)
    if flops_per_pair is None:
        return tokens * flops_per_token, FORMULA_WITHOUT_ATTENTION
    return tokens * flops_per_token + pairs * flops_per_pair, FORMULA


def run_bytes(
    requests: Iterable[Request], forward_passes: int, weight_bytes: float, kv_bytes_per_token: float
) -> float:
    """The fewest bytes that must come from the GPU's memory: weights once a pass (beyond what a cache may hold), and at
    each decoding step of each sequence the keys and values of all tokens before it."""
    keys = 0
    for request in requests:
        # Step i (from 1) reads the keys and values of the prompt and of i - 1 generated tokens.
        n = max(0, request.output_tokens - 1)
        keys += n * request.input_tokens + n * (n - 1) // 2
    return forward_passes * max(0.0, weight_bytes - CACHE_BYTES) + keys * kv_bytes_per_token


def floor_s(bytes_read: float, flops: float, spec: GpuSpec, gpus: int = 1) -> float:
    """The least time (s) that memory and arithmetic of ``gpus`` equal GPUs allow: the roofline."""
    return max(bytes_read / spec.memory_bandwidth_bytes_per_s, flops / spec.peak_bf16_flops_per_s) / gpus


def energy_optimality(floor_s: float, idle_power_w: float, measured_j: float) -> float | None:
    """The least energy ÷ the measured one; None where there is nothing to divide by. The least is the roofline's time
    at idle power: 1 would be perfect, and a meter that says more is wrong."""
    return floor_s * idle_power_w / measured_j if measured_j > 0 else None


def mfu(flops: float, seconds: float, spec: GpuSpec, gpus: int = 1) -> float | None:
    """Model FLOPs utilisation (Chowdhery et al. 2022, "PaLM", section 4.1): arithmetic that the model needs ÷ what the
    GPUs could have done meanwhile, at their dense bf16 peak."""
    return flops / (seconds * gpus * spec.peak_bf16_flops_per_s) if seconds > 0 else None
