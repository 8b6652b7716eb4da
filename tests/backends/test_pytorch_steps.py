"""The clock of a batch's steps, against a device that counts how often it was waited for."""

from __future__ import annotations

import pytest

from pytest_llem.backends.pytorch_steps import StepClock


class Waits:
    """Counts calls."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


def step(clock: StepClock, length: int) -> bool:
    import torch

    return bool(clock(torch.ones((2, length), dtype=torch.long), None).any())


def test_the_device_is_waited_for_once_unless_each_step_is_asked_for() -> None:
    for every_step, expected in ((False, 1), (True, 3)):
        waits, firsts = Waits(), Waits()
        clock = StepClock(waits, firsts, every_step=every_step, drafts=False)
        assert not any(step(clock, length) for length in (6, 7, 8))
        assert (waits.n, firsts.n) == (expected, 1)


def test_tokens_of_one_step_share_its_time() -> None:
    clock = StepClock(Waits(), Waits(), every_step=True, drafts=False)
    for length in (7, 8, 11):  # one token, one more, three more
        step(clock, length)
    times = clock.token_times(prompt_length=6, tokens=5)
    assert times == tuple(sorted(times))
    assert len(set(times)) == 3
    assert times[2] == times[4]
    assert times[0] == clock.first


@pytest.mark.parametrize("drafts", [True, False])
def test_a_draft_is_no_step(drafts: bool) -> None:
    firsts = Waits()
    clock = StepClock(Waits(), firsts, every_step=True, drafts=drafts)
    step(clock, 9)
    assert firsts.n == (0 if drafts else 1)
    step(clock, 7)
    assert firsts.n == 1
