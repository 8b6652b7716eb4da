from __future__ import annotations

import pytest

from pytest_llem.study.cells import gaps, turns
from pytest_llem.study.header import Execution
from tests.study.conftest import Load


def order(kind: str, cycles: int = 3, count: int = 2, seed: str = "s") -> str:
    execution = Execution.model_validate({"order": kind, "cycles": cycles})
    return "".join("ABCDEFGH"[index] for index, _ in turns(count, execution, seed))


def test_orders() -> None:
    assert order("sequential") == "AAABBB"
    assert order("interleaved") == "ABABAB"
    assert order("reversed") == "ABBAAB"


def test_each_shuffled_cycle_is_a_permutation_of_its_own_and_the_same_everywhere() -> None:
    found = order("shuffled", cycles=4, count=6, seed="0123456789abcdef")
    cycles = [found[start : start + 6] for start in range(0, 24, 6)]
    assert all(sorted(cycle) == list("ABCDEF") for cycle in cycles)
    assert cycles == ["DECAFB", "BFEDCA", "DBFAEC", "AEBFDC"], "frozen: workers of any Python must agree"
    assert order("shuffled", cycles=4, count=6, seed="other") != found


@pytest.mark.parametrize("kind", ["sequential", "interleaved", "reversed", "shuffled"])
def test_every_experiment_runs_in_every_cycle(kind: str) -> None:
    execution = Execution.model_validate({"order": kind, "cycles": 3})
    assert sorted(turns(4, execution, "s")) == [(index, cycle) for index in range(4) for cycle in (1, 2, 3)]


def test_gaps() -> None:
    execution = Execution(cycles=2, order="interleaved", experiment_gap_s=1, cycle_gap_s=5)
    assert gaps(turns(2, execution, ""), execution) == [0, 1, 5, 1]
    execution = Execution(cycles=2, order="sequential", experiment_gap_s=1, cycle_gap_s=5)
    assert gaps(turns(2, execution, ""), execution) == [0, 5, 1, 5]


def test_no_gap_is_really_none(load: Load) -> None:
    cells = load("execution: {cycles: 2}\nsweep: {seed: [1, 2]}").cells
    assert [cell.gap_before_s for cell in cells] == [0.0] * 4
    assert [cell.cycle for cell in cells] == [1, 1, 2, 2]


def test_the_order_of_a_study_does_not_change_from_load_to_load(load: Load) -> None:
    text = "execution: {cycles: 3, order: shuffled}\nsweep: {seed: [1, 2, 3, 4, 5]}"
    first, second = ([cell.id for cell in load(text).cells] for _ in range(2))
    assert first == second
    assert first[:5] != sorted(first[:5])
