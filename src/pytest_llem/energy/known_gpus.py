"""What the maker states of some GPUs: memory bandwidth, peak arithmetic, power. All from NVIDIA's data sheets.

Peaks are dense (without 2:4 sparsity, which doubles the printed figures) for bf16 with accumulation in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass


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
