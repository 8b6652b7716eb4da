"""A run as one object: configurations over cycles, what varied, all verdicts, and back from JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.results.cycles import mean_over_cycles
from pytest_llem.results.study_result import StudyResult, collect, configurations, differences
from tests.report.html.make_result import make_result
from tests.report.html.make_run import make_run

CONFIG = {
    "model": {"id": "shape:llama-8b"},
    "backend": "pytorch",
    "dataset": {"input_tokens": 128},
    "max_output_tokens": 64,
    "pytorch": {"batch_size": 8},
}


def test_collects_results_configurations_and_verdicts(tmp_path: Path):
    study = collect(make_run(tmp_path / "run", 50))
    assert len(study.results) == 46
    assert len(study.configurations) == 16
    assert study.unreadable == {}
    assert len(study.verdicts) == 2 * 46
    assert study.configurations[0].cell_ids == tuple(f"pytorch-bs1-out64-in128-c{cycle}" for cycle in (1, 2, 3))
    assert study.configurations[0].varied == {
        "backend": "pytorch",
        "dataset.input_tokens": 128,
        "max_output_tokens": 64,
        "pytorch.batch_size": 1,
    }


def test_survives_json(tmp_path: Path):
    study = collect(make_run(tmp_path / "run", 12))
    assert StudyResult.model_validate_json(study.model_dump_json()) == study


def test_a_damaged_result_is_named(tmp_path: Path):
    run = make_run(tmp_path / "run", 12)
    (run / "pytorch-bs1-out64-in128-c1" / "result.json").write_text("[]")
    study = collect(run)
    assert list(study.unreadable) == ["pytorch-bs1-out64-in128-c1"]
    assert len(study.results) == 7


def test_means_are_over_cycles_with_an_interval():
    cycles = [make_result("run", f"cell-c{cycle}", cycle, CONFIG, 0) for cycle in (1, 2, 3)]
    (found,) = configurations(cycles)
    mean = found.figures["energy_per_output_token_j"]
    assert (mean.value, mean.ci95) == mean_over_cycles(cycles, "energy_per_output_token_j")
    assert mean.ci95 is not None
    assert mean.ci95[0] < mean.value < mean.ci95[1]
    assert mean.n == 3
    assert "itl_s" not in found.figures


def test_estimates_and_invalid_cycles_are_left_out_of_means():
    good, estimated, invalid = (make_result("run", f"cell-c{n}", n, CONFIG, n) for n in (1, 13, 30))
    (found,) = configurations([good, estimated, invalid])
    assert (found.measured, found.valid) == (True, True)
    assert found.figures["energy_j"].value == pytest.approx(good.energy_j)
    assert found.figures["energy_j"].n == 1
    (found,) = configurations([estimated, invalid])
    assert (found.measured, found.valid) == (False, True)
    (found,) = configurations([invalid])
    assert (found.measured, found.valid) == (True, False)


def test_another_backends_section_is_no_difference():
    first = {"backend": "a", "a": {"size": 1, "same": True}, "b": None}
    second = {"backend": "a", "a": {"size": 2, "same": True}, "b": None}
    third = {"backend": "b", "a": None, "b": {"limit": 3}}
    assert differences([first, second, third]) == [
        {"backend": "a", "a.size": 1},
        {"backend": "a", "a.size": 2},
        {"backend": "b"},
    ]
    assert differences([first]) == [{}]
