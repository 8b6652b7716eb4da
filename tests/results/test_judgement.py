"""Runs read back from disk, and what fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import make_baseline
from pytest_llem.results.budgets import judge
from pytest_llem.results.comparison import Gate, Report
from pytest_llem.results.cycles import judge_configurations
from pytest_llem.results.judgement import Runs, baseline_at, compare_with_noise, failures
from pytest_llem.results.noise import remember
from pytest_llem.results.rules import Rule
from pytest_llem.study.budget import Budget
from tests.results.runs import cycles, noisy, run, write_run

METRIC = "energy_per_output_token_j"
GATE = Gate((Rule(METRIC, 0.02),))


def test_a_folder_is_the_baseline_of_its_results(tmp_path: Path) -> None:
    results = cycles(noisy(1.0))
    (write_run(tmp_path / "run", results) / "environment.json").write_text('{"driver": {"version": "580.1"}}')
    found = baseline_at(tmp_path / "run")
    assert found.configurations == make_baseline(results).configurations
    assert found.environments[results[0].environment_hash]["driver"] == "580.1"


def test_several_runs_are_one_set_of_cycles(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, cycles([1.0, 1.1], run_id=name)) for name in ("a", "b")]
    (entry,) = Runs.read(folders).baseline().configurations
    assert entry.values(METRIC) == (1.0, 1.0, 1.1, 1.1)


def test_how_long_a_run_would_have_gone_on_is_known_from_its_manifest(tmp_path: Path) -> None:
    runs = Runs.read([write_run(tmp_path / "run", cycles(noisy(1.0)), max_cycles=12)])
    assert runs.max_cycles == {"run": 12}
    assert runs.baseline().configurations[0].max_cycles == 12


def test_a_run_without_results_is_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="has no results"):
        baseline_at(write_run(tmp_path / "run", []))


def test_what_is_known_of_a_gpu_decides_where_one_cycle_cannot(tmp_path: Path) -> None:
    before, now = run([1.0]), run([1.2])
    (blind,) = compare_with_noise(now, before, GATE, tmp_path).comparisons
    for day in range(3):
        remember(tmp_path, make_baseline(cycles(noisy(1.0, seed=day), finished_at=f"2026-01-0{day + 2}")), repeats=True)
    (knowing,) = compare_with_noise(now, before, GATE, tmp_path).comparisons
    assert (blind.verdict, knowing.verdict) == ("inconclusive", "fail")


def test_what_fails_a_run() -> None:
    budgeted = [
        r.model_copy(update={"verdicts": judge(r, [Budget(metric=METRIC, max=0.5)])}) for r in cycles([1.0, 1.0])
    ]
    assert failures(None, ()) == ()
    over = judge_configurations(budgeted)
    assert failures(None, over) == (f"study[pytorch-bs1]: {METRIC} over 2 cycles is out of budget",)
    assert failures(None, over, excused=frozenset({budgeted[0].config_hash})) == ()


def test_nothing_compared_is_undecided() -> None:
    assert failures(Report(()), ()) == ()
    assert failures(Report(()), (), inconclusive_fails=True) == ("nothing could be compared with the baseline",)
