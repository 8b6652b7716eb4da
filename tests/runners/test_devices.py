"""How many GPUs an experiment takes, and who else is on them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from pytest_llem.energy import idle
from pytest_llem.energy.gpus import Gpu, GpuProcess
from pytest_llem.energy.idle import Finding
from pytest_llem.errors import Cancelled
from pytest_llem.runners.devices import check, needed, newcomers, settle
from pytest_llem.study.config import ExperimentConfig

GPU = Gpu(uuid="GPU-a", index=0, name="a GPU", memory_bytes=1)


@pytest.mark.parametrize(
    ("there", "before", "own", "foreign"),
    [
        ([10, 11], set(), {10, 11}, []),  # the worker's own
        ([5, 10], {5}, {10}, []),  # somebody who was there before has been told already
        ([10, 77], set(), {10}, [77]),
        ([4001], set(), {10, 11}, []),  # a host's pids, seen from inside a container: as many as ours at most
        ([4001, 4002, 4003], set(), {10, 11}, [4001, 4002, 4003]),
        ([], set(), {10}, []),
    ],
)
def test_newcomers(
    monkeypatch: pytest.MonkeyPatch, there: list[int], before: set[int], own: set[int], foreign: list[int]
) -> None:
    processes = tuple(GpuProcess(pid, None, None) for pid in there)
    monkeypatch.setattr("pytest_llem.runners.devices.processes_on", lambda uuid: processes)
    found = newcomers([GPU], before, own)
    assert [finding.message for finding in found] == [
        f"GPU 0: process {pid} came while it was measured" for pid in foreign
    ]
    assert all(finding.code == "foreign_process" for finding in found)


@pytest.mark.parametrize(
    ("sections", "count"),
    [
        ({}, 1),
        ({"pytorch": {"device_map": "cuda:0"}}, 1),
        ({"pytorch": {"device_map": "auto"}}, 4),  # it may use whatever it sees, so nobody else may
        ({"backend": "vllm", "vllm": {"engine": {}}}, 1),
        ({"backend": "vllm", "vllm": {"engine": {"tensor_parallel_size": 2}}}, 2),
        ({"backend": "vllm", "vllm": {"engine": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}}}, 4),
    ],
)
def test_an_experiment_takes_as_many_gpus_as_it_spreads_over(sections: dict[str, Any], count: int) -> None:
    assert needed(ExperimentConfig.model_validate({"model": {"id": "tiny"}, **sections}), available=4) == count


@pytest.fixture
def cancelled_at_third(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A listener whose caller is told to stop in the middle of a wait."""
    monkeypatch.setattr(idle, "POLL_S", 0.02)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            raise Cancelled("the run was cancelled")

    return say


def test_a_wait_for_a_busy_gpu_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch, cancelled_at_third: Callable[[str], None]
) -> None:
    monkeypatch.setattr("pytest_llem.runners.devices.BUSY_WAIT_S", 3.0)
    monkeypatch.setattr(idle, "check_idle", lambda gpu: [Finding("foreign_process", gpu.uuid, "GPU 0 is used")])
    with pytest.raises(Cancelled):
        check([GPU], "wait", cancelled_at_third)


def test_a_wait_for_a_cooling_gpu_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch, cancelled_at_third: Callable[[str], None]
) -> None:
    degrees = itertools.count(30.0, 5.0)
    monkeypatch.setattr(idle, "handle_of", lambda uuid: None)
    monkeypatch.setattr(idle.nvml, "temperature_c", lambda handle: next(degrees))
    monkeypatch.setattr(idle.nvml, "scaled", lambda *_: None)
    start = time.monotonic()
    with pytest.raises(Cancelled):
        settle([GPU], 3.0, cancelled_at_third)
    assert time.monotonic() - start < 2.5
