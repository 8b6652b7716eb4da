"""``cycles: auto`` in a study file."""

from __future__ import annotations

import pytest

from pytest_llem.errors import StudyError
from pytest_llem.study.header import Execution
from tests.study.conftest import Load

AUTO = "execution: {cycles: auto, max_cycles: 4, precision: 2%}\n"


def test_every_cycle_that_there_may_be_is_a_cell(load: Load) -> None:
    study = load(AUTO)
    assert [cell.cycle for cell in study.cells] == [1, 2, 3, 4]
    assert (study.execution.limit, study.execution.precision) == (4, 0.02)
    assert Execution(cycles=3).limit is None


def test_the_study_is_another_one_when_it_goes_on_for_longer(load: Load) -> None:
    assert load(AUTO).study_hash != load(AUTO.replace("4", "5")).study_hash
    assert load(AUTO).study_hash != load("execution: {cycles: 4}").study_hash


@pytest.mark.parametrize(
    ("execution", "sentence"),
    [
        ("cycles: 3, max_cycles: 4", "max_cycles need cycles: auto"),
        ("cycles: auto, precision: little", "expected a number, got 'little'"),
        ("cycles: auto, precision: x%", "'x%' is not a share (write 2% or 0.02)"),
        ("cycles: auto, precision: 200%", "expected a value below 1"),
        ("cycles: ever", "a whole number"),
    ],
)
def test_what_makes_no_sense_is_told(load: Load, execution: str, sentence: str) -> None:
    with pytest.raises(StudyError, match="execution") as caught:
        load(f"execution: {{{execution}}}")
    assert sentence in str(caught.value)
