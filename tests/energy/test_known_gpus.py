"""The table of stated figures: found by NVML's names, and consistent with what is known about GPUs."""

from __future__ import annotations

import pytest

from pytest_llem.energy.known_gpus import SPECS, find_spec


@pytest.mark.parametrize(
    ("nvml_name", "name"),
    [
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM 40 GB"),
        ("A100-SXM4-80GB", "A100 SXM 80 GB"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA B200", "B200 SXM"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ],
)
def test_names_as_nvml_gives_them(nvml_name: str, name: str) -> None:
    spec = find_spec(nvml_name)
    assert spec is not None
    assert spec.name == name


@pytest.mark.parametrize(
    "nvml_name",
    ["NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA H20", "NVIDIA H100", "Tesla T4", ""],
)
def test_what_only_sounds_alike_is_not_taken_for_it(nvml_name: str) -> None:
    assert find_spec(nvml_name) is None


def test_dense_peaks_and_units_are_plausible() -> None:
    """A figure with sparsity, in GB/s or in TFLOP/s by mistake would leave these ranges."""
    for spec in SPECS.values():
        assert 0.5e12 < spec.memory_bandwidth_bytes_per_s < 10e12
        assert 0.2e12 < spec.peak_bf16_flops_per_s / spec.tdp_w < 2.8e12
        assert 100 < spec.peak_bf16_flops_per_s / spec.memory_bandwidth_bytes_per_s < 450
        assert spec.source
