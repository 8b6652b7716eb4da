"""Where an experiment lies under the roof of its device: FLOP/s over FLOP per byte."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llem.energy.physics import find_spec
from pytest_llem.results.model import ExperimentResult


@dataclass(frozen=True)
class Position:
    """Per device. ``at_least``: arithmetic binds, so the bytes are only bounded, and ``intensity`` is a lower limit."""

    cell_id: str
    backend: str
    device: str
    intensity: float  # FLOP/byte
    flops_per_s: float
    at_least: bool
    peak_flops_per_s: float  # of the device, dense bf16
    bandwidth_bytes_per_s: float


def position(result: ExperimentResult) -> Position | None:
    """None where FLOPs, the physical floor or the device's stated figures are not known.

    A result keeps no bytes, but ``energy_optimality`` is the floor ``max(bytes / bandwidth, FLOPs / peak)`` times idle
    power over the energy; so where the bandwidth binds, the bytes follow from it exactly."""
    if not result.devices or result.flops is None or result.energy_optimality is None:
        return None
    spec = find_spec(result.devices[0].name)
    if spec is None or not result.energy_j or not result.idle_power_w:
        return None
    floor_s = result.energy_optimality * result.energy_j / result.idle_power_w
    flops = result.flops / len(result.devices)
    arithmetic_s = flops / spec.peak_bf16_flops_per_s
    return Position(
        cell_id=result.cell_id,
        backend=str(result.config.get("backend", "–")),
        device=spec.name,
        intensity=flops / (max(floor_s, arithmetic_s) * spec.memory_bandwidth_bytes_per_s),
        flops_per_s=flops / result.duration_s,
        at_least=floor_s <= arithmetic_s * (1 + 1e-9),
        peak_flops_per_s=spec.peak_bf16_flops_per_s,
        bandwidth_bytes_per_s=spec.memory_bandwidth_bytes_per_s,
    )
