"""The position under the roof follows from the result exactly, as the physics module made it."""

from __future__ import annotations

import pytest

from pytest_llem.energy.physics import SPECS
from pytest_llem.report.html.roofline import position
from tests.report.html.make_result import Load, make_result

H200 = SPECS["H200"]


def _config(batch: int, out: int) -> dict[str, object]:
    return {
        "model": {"id": "shape:llama-8b"},
        "backend": "pytorch",
        "dataset": {"input_tokens": 128},
        "max_output_tokens": out,
        "pytorch": {"batch_size": batch},
    }


def test_where_bandwidth_binds_the_bytes_come_back():
    config = _config(batch=4, out=256)
    result = make_result("run", "cell", 1, config, 0)
    found = position(result)
    assert found is not None
    assert result.flops is not None
    read = result.output_tokens / 4 * Load.of(config).step_bytes
    assert found.intensity == pytest.approx(result.flops / read)
    assert not found.at_least
    assert found.flops_per_s == pytest.approx(result.flops / result.duration_s)
    assert found.flops_per_s < min(H200.peak_bf16_flops_per_s, found.intensity * H200.memory_bandwidth_bytes_per_s)


def test_where_arithmetic_binds_the_intensity_is_a_lower_limit():
    found = position(make_result("run", "cell", 1, _config(batch=256, out=32), 0))
    assert found is not None
    assert found.at_least
    assert found.intensity == pytest.approx(H200.peak_bf16_flops_per_s / H200.memory_bandwidth_bytes_per_s)


@pytest.mark.parametrize("missing", ["flops", "energy_optimality", "idle_power_w", "energy_j"])
def test_no_position_without(missing: str):
    result = make_result("run", "cell", 1, _config(batch=4, out=256), 0)
    assert position(result.model_copy(update={missing: None})) is None


def test_no_position_on_an_unknown_device():
    assert position(make_result("run", "cell", 1, _config(batch=4, out=256), 13)) is None
