"""What github-action-benchmark reads."""

from __future__ import annotations

import json

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.report.benchmark_json import benchmark_json
from pytest_llem.results.baseline import make_baseline
from tests.results.runs import cycles, run


def test_entries() -> None:
    (row,) = json.loads(benchmark_json(run([0.1, 0.12, 0.11])))
    assert row == {
        "name": "study[pytorch-bs1] energy_per_output_token_j",
        "unit": "J",
        "value": pytest.approx(0.11),
        "range": "± 0.0248",
        "extra": "3 cycles, measured (nvml_counter), NVIDIA H200",
    }


def test_one_cycle_has_no_range_and_an_estimate_says_so() -> None:
    (row,) = json.loads(benchmark_json(run([0.1], measured=False, energy_source="cpu_estimate", devices=())))
    assert "range" not in row
    assert row["extra"] == "1 cycle, ESTIMATED (cpu_estimate), no GPU"


def test_configurations_without_the_figure_are_left_out() -> None:
    results = [*cycles([0.1]), *cycles([0.2], "pytorch-bs2", valid=False, reasons=("gpu_shared",))]
    assert [row["name"] for row in json.loads(benchmark_json(make_baseline(results)))] == [
        "study[pytorch-bs1] energy_per_output_token_j"
    ]


def test_directions_do_not_mix() -> None:
    with pytest.raises(LlemError, match="cannot share a file"):
        benchmark_json(run([0.1]), ["energy_j", "output_tokens_per_s"])
    assert json.loads(benchmark_json(run([0.1]), ["output_tokens_per_s"]))[0]["value"] == 50.0
    with pytest.raises(LlemError, match="is not a metric"):
        benchmark_json(run([0.1]), ["energy"])
