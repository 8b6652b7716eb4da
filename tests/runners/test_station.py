"""The recorders of one place to measure."""

from __future__ import annotations

from pytest_llem.runners.station import Together
from tests.runners.test_conductor import Watcher


def test_the_recorder_beside_is_told_the_same() -> None:
    """Left alone it reads once a second, too seldom for windows of a second."""
    main, beside = Watcher(), Watcher()
    both = Together((main, beside))
    both.follow(7)
    both.pace("dense")
    assert main.told == beside.told == [7, "dense"]
