"""When a configuration needs no further cycle, from results on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llem.baselining import BaselineGate
from pytest_llem.deciding import PRECISE, Decider
from pytest_llem.results.baseline import make_baseline
from pytest_llem.results.comparison import Gate
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.rules import Rule
from pytest_llem.results.store import RunFolder
from pytest_llem.study.load import study_from_mapping
from pytest_llem.study.study import Study
from tests.results.runs import cycles, noisy

AUTO = {"cycles": "auto", "max_cycles": 12, "precision": "2%"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def study(**changes: object) -> Study:
    return study_from_mapping({"llem": 1, "model": "tiny", "execution": AUTO, **changes}, name="study")


def decider(folder: Path, study: Study, values: Sequence[float], gate: BaselineGate | None = None) -> Decider:
    """With that many results on disk, the first cycles'."""
    run = RunFolder(folder)
    for cell, result in zip(study.cells, results(study, values), strict=False):
        run.write_result(result.model_copy(update={"cell_id": cell.id}))
    return Decider(study, run, gate)


def results(study: Study, values: Sequence[float]) -> list[ExperimentResult]:
    exact = {"energy_per_output_token_j_ci95": None, "config_hash": study.cells[0].config_hash}
    return cycles(values, **exact)


def gate(study: Study, values: Sequence[float]) -> BaselineGate:
    return BaselineGate(Path("main.json"), make_baseline(results(study, values)), Gate((Rule(PRECISE, 0.02),)), True)


def test_without_anything_to_decide_the_precision_does(tmp_path: Path) -> None:
    found = decider(tmp_path, study(), noisy(1.0, n=5, noise=0.002))
    assert [found.settled(cell) for cell in found.study.cells[:3]] == [None] * 3
    assert found.settled(found.study.cells[3]) == "precise enough after 3 cycles"
    assert found.settled(found.study.cells[11]) == "precise enough after 3 cycles"


def test_what_varies_goes_on_to_the_next_look(tmp_path: Path) -> None:
    found = decider(tmp_path, study(), noisy(1.0, n=12, noise=0.05))
    assert all(found.settled(cell) is None for cell in found.study.cells)


def test_a_fixed_number_of_cycles_is_never_cut_short(tmp_path: Path) -> None:
    found = decider(tmp_path, study(execution={"cycles": 5}), noisy(1.0, n=5, noise=0.0001))
    assert all(found.settled(cell) is None for cell in found.study.cells)


@pytest.mark.parametrize(
    ("most", "reason"), [(1.5, "decided after 3 cycles"), (0.5, "decided after 3 cycles"), (1.001, None)]
)
def test_a_budget_decides_when_the_mean_is_clear_of_it(tmp_path: Path, most: float, reason: str | None) -> None:
    found = decider(tmp_path, study(budgets=[{"metric": PRECISE, "max": most}]), noisy(1.0, n=12, noise=0.01))
    assert found.settled(found.study.cells[4]) == reason


@pytest.mark.parametrize(
    ("change", "reason"), [(1.3, "decided after 3 cycles"), (0.7, "decided after 3 cycles"), (1.02, None)]
)
def test_a_baseline_decides_when_the_change_is_clear(tmp_path: Path, change: float, reason: str | None) -> None:
    plan = study()
    found = decider(tmp_path, plan, noisy(change, n=12, noise=0.01), gate(plan, noisy(1.0, n=8, noise=0.01, seed=1)))
    assert found.settled(found.study.cells[4]) == reason


def test_a_baseline_that_is_only_told_of_decides_nothing(tmp_path: Path) -> None:
    plan = study()
    told = replace(gate(plan, noisy(1.0, seed=1)), enforced=False)
    found = decider(tmp_path, plan, noisy(1.5, n=12, noise=0.05), told)
    assert found.settled(found.study.cells[4]) is None


def test_more_cycles_do_not_mend_a_refusal(tmp_path: Path) -> None:
    plan = study()
    before = [r.model_copy(update={"devices": ()}) for r in results(plan, noisy(1.0))]
    other = replace(gate(plan, [1.0]), before=make_baseline(before))
    found = decider(tmp_path, plan, noisy(1.0, n=12, noise=0.05), other)
    assert found.settled(found.study.cells[4]) == "decided after 3 cycles"
