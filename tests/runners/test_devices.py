"""Who else is on a GPU, and how many GPUs an experiment takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_llem.energy.gpus import Gpu, GpuProcess
from pytest_llem.runners.devices import newcomers
from pytest_llem.runners.local import family

GPU = Gpu(uuid="GPU-a", index=0, name="a GPU", memory_bytes=1, pci_bus="0")


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


def test_a_family_has_children_in_sessions_of_their_own() -> None:
    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert family(parent.pid) == {parent.pid, child}
        assert os.getpid() not in family(parent.pid)
    finally:
        for pid in family(parent.pid):
            os.kill(pid, 9)
        parent.wait()
