"""Counts of arithmetic and traffic against sums done the long way, and the floor against real measurements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llem.energy.physics import (
    CACHE_BYTES,
    FORMULA,
    FORMULA_WITHOUT_ATTENTION,
    SPECS,
    Request,
    energy_optimality,
    find_spec,
    floor_s,
    mfu,
    run_bytes,
    run_flops,
)

H200 = SPECS["H200"]
REQUESTS = st.lists(st.builds(Request, st.integers(1, 40), st.integers(0, 40)), max_size=5)


def long_way(requests: list[Request], *, use_cache: bool) -> tuple[int, int, int]:
    """Tokens forwarded, (query, key) pairs, keys read back from a cache: step by step."""
    tokens = pairs = keys = 0
    for request in requests:
        for step in range(request.output_tokens):
            length = request.input_tokens + step
            new = length if step == 0 or not use_cache else 1
            tokens += new
            pairs += sum(range(length - new + 1, length + 1))
            keys += length - 1 if step else 0
    return tokens, pairs, keys


@given(REQUESTS, st.booleans())
def test_flops_are_counted_as_step_by_step(requests: list[Request], use_cache: bool) -> None:
    tokens, pairs, _ = long_way(requests, use_cache=use_cache)
    flops, formula = run_flops(requests, 1000.0, 7.0, use_cache=use_cache)
    assert flops == pytest.approx(1000 * tokens + 7 * pairs)
    assert formula == FORMULA


@given(REQUESTS)
def test_bytes_are_counted_as_step_by_step(requests: list[Request]) -> None:
    _, _, keys = long_way(requests, use_cache=True)
    # The step's own token is not read back: it has just been computed. Each later step reads all before it.
    assert run_bytes(requests, 3, CACHE_BYTES + 5, 2.0) == pytest.approx(15 + 2 * keys)


def test_weights_that_may_stay_in_the_cache_need_not_be_read() -> None:
    assert run_bytes([], 10, 8e6, 100.0) == 0


def test_unknown_attention_is_left_out_and_said() -> None:
    assert run_flops([Request(10, 5)], 2.0, None) == (28.0, FORMULA_WITHOUT_ATTENTION)


def test_the_roofline_takes_the_slower_of_memory_and_arithmetic() -> None:
    assert floor_s(4.8e12, 1.0, H200) == pytest.approx(1.0)
    assert floor_s(1.0, 989.4e12, H200) == pytest.approx(1.0)
    assert floor_s(4.8e12, 989.4e12, H200, gpus=2) == pytest.approx(0.5)


def test_a_real_measurement_lies_above_the_floor_and_below_the_limit() -> None:
    """Llama-8B's shape by vLLM on an H200, one request: 2.57 J per output token at 202 tokens/s."""
    request = Request(128, 256)
    flops, _ = run_flops([request], 2 * 8.03e9, 4 * 4096 * 32)
    read = run_bytes([request], 256, 16.06e9, 131_072)
    optimality = energy_optimality(floor_s(read, flops, H200), 123.0, measured_j=2.57 * 256)
    assert optimality is not None
    assert 0.1 < optimality < 0.5
    use = mfu(flops, 256 / 202, H200)
    assert use is not None
    assert 0.002 < use < 0.02  # one sequence at a time hardly uses the arithmetic


def test_nothing_to_divide_by_is_none() -> None:
    assert energy_optimality(1.0, 100.0, 0.0) is None
    assert mfu(1.0, 0.0, H200) is None


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
