"""In which order the cycles of the experiments run, and how long to wait before each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

from pytest_llem.study.header import Execution

Turn = tuple[int, int]
"""Index of the experiment, and its cycle from 1."""


def turns(count: int, execution: Execution, seed: str) -> list[Turn]:
    """Every experiment in every cycle, in the order to run.

    ``sequential`` finishes an experiment before the next begins (AAABBB); the others finish a cycle before the next
    begins: ``interleaved`` as written (ABABAB), ``reversed`` every other cycle backwards (ABBAAB), ``shuffled`` each in
    an order of its own. ``seed`` decides the shuffling, the same on every machine and in every version of Python.
    """
    if execution.order == "sequential":
        return [(index, cycle) for index in range(count) for cycle in _cycles(execution)]
    return [(index, cycle) for cycle in _cycles(execution) for index in _one_cycle(count, cycle, execution, seed)]


def gaps(order: Sequence[Turn], execution: Execution) -> list[float]:
    """Seconds to wait before each turn: ``cycle_gap_s`` before a later cycle begins, else ``experiment_gap_s``."""
    waits = [
        execution.cycle_gap_s if cycle > cycle_before else execution.experiment_gap_s
        for (_, cycle_before), (_, cycle) in pairwise(order)
    ]
    return [0.0, *waits]


def _cycles(execution: Execution) -> range:
    return range(1, execution.most_cycles + 1)


def _one_cycle(count: int, cycle: int, execution: Execution, seed: str) -> Sequence[int]:
    if execution.order == "shuffled":
        return sorted(range(count), key=lambda index: hashlib.sha256(f"{seed}:{cycle}:{index}".encode()).digest())
    if execution.order == "reversed" and cycle % 2 == 0:
        return range(count - 1, -1, -1)
    return range(count)
