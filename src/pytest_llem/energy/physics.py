"""How much arithmetic and memory traffic a run needs, and the least energy that it could have taken.

Plain numbers in, plain numbers out. The counts follow the transformer's forward pass as in Kaplan et al. 2020, "Scaling
Laws for Neural Language Models", table 1: 2 FLOPs for each weight and token, and attention apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llem.energy.known_gpus import GpuSpec

FORMULA = "2 x active weights x forwarded tokens + attention x (query, key) pairs"
FORMULA_WITHOUT_ATTENTION = "2 x active weights x forwarded tokens, attention left out"
CACHE_BYTES = 200e6
"""Weights that may stay in the GPU's cache from one step to the next, and need not be read from memory again. No GPU of
``known_gpus`` has a last-level cache as large as this, so the floor stays a floor."""


@dataclass(frozen=True)
class Request:
    """One sequence: how long its prompt and how many tokens were generated."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Flops:
    """Arithmetic of a run, with the name of the formula that counted it."""

    total: float
    formula: str


def run_flops(
    requests: Iterable[Request], flops_per_token: float, flops_per_pair: float | None, *, use_cache: bool = True
) -> Flops:
    """FLOPs to answer all requests.

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
        return Flops(tokens * flops_per_token, FORMULA_WITHOUT_ATTENTION)
    return Flops(tokens * flops_per_token + pairs * flops_per_pair, FORMULA)


def run_bytes(
    requests: Iterable[Request], forward_passes: int, weight_bytes: float, kv_bytes_per_token: float
) -> float:
    """The fewest bytes that must come from the GPU's memory: weights once a pass (beyond what a cache may hold), and at
    each decoding step of each sequence the keys and values of all tokens before it."""
    weights = forward_passes * max(0.0, weight_bytes - CACHE_BYTES)
    steps = 0
    for request in requests:
        # Step i (from 1) reads the keys and values of the prompt and of i - 1 generated tokens.
        n = max(0, request.output_tokens - 1)
        steps += n * request.input_tokens + n * (n - 1) // 2
    return weights + steps * kv_bytes_per_token


def floor_s(bytes_read: float, flops: float, spec: GpuSpec, gpus: int = 1) -> float:
    """The least time (s) that memory and arithmetic of ``gpus`` equal GPUs allow: the roofline."""
    memory_s = bytes_read / (gpus * spec.memory_bandwidth_bytes_per_s)
    arithmetic_s = flops / (gpus * spec.peak_bf16_flops_per_s)
    return max(memory_s, arithmetic_s)


def floor_j(seconds: float, idle_power_w: float) -> float:
    """The least energy (J): the roofline's time at idle power. No run can take less; a meter that says so is wrong."""
    return seconds * idle_power_w


def energy_optimality(bound_j: float, measured_j: float) -> float | None:
    """Bound ÷ measured: 1 would be perfect; None where there is nothing to divide by."""
    return bound_j / measured_j if measured_j > 0 else None


def mfu(flops: float, seconds: float, spec: GpuSpec, gpus: int = 1) -> float | None:
    """Model FLOPs utilisation (Chowdhery et al. 2022, "PaLM", section 4.1): arithmetic that the model needs ÷ what the
    GPUs could have done meanwhile, at their dense bf16 peak."""
    return flops / (seconds * gpus * spec.peak_bf16_flops_per_s) if seconds > 0 else None
