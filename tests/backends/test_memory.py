"""The peak of a process's memory is seen even after it has been given back."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llem.backends import memory
from pytest_llem.backends.memory import ProcessPeak

MIB = 1 << 20


def touch(size: int) -> None:
    """Use that much memory for a moment."""
    np.ones(size, np.uint8)


def test_memory_that_was_given_back_counts() -> None:
    peak = ProcessPeak()
    touch(64 * MIB)
    seen = peak.bytes()
    assert seen is not None
    assert 60 * MIB < seen < 100 * MIB


def test_an_earlier_peak_does_not_count() -> None:
    touch(256 * MIB)
    peak = ProcessPeak()
    touch(16 * MIB)
    seen = peak.bytes()
    assert seen is not None
    assert 12 * MIB < seen < 64 * MIB


def test_below_a_peak_that_cannot_be_reset_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    touch(256 * MIB)
    monkeypatch.setattr(memory, "_CLEAR", memory._CLEAR / "no such file")
    peak = ProcessPeak()
    assert peak.bytes() is None
    touch(512 * MIB)
    seen = peak.bytes()
    assert seen is not None
    assert seen > 400 * MIB
