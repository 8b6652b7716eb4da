"""Which GPUs an experiment may use, on fake GPUs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_llem.energy.gpus import (
    Gpu,
    GpuProcess,
    list_gpus,
    processes_on,
    select_gpus,
    used_memory_bytes,
    visible_gpus,
)
from pytest_llem.errors import MeterError
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]
UUIDS = ("GPU-aa11", "GPU-aa22", "GPU-bb33")


@pytest.fixture
def gpus(fake_nvml: Install) -> tuple[Gpu, ...]:
    fake_nvml(*(FakeGpu(uuid=uuid) for uuid in UUIDS))
    return list_gpus()


def uuids(found: tuple[Gpu, ...]) -> tuple[str, ...]:
    return tuple(gpu.uuid for gpu in found)


def test_gpus_are_listed_with_name_and_memory(gpus: tuple[Gpu, ...]) -> None:
    assert uuids(gpus) == UUIDS
    assert (gpus[1].index, gpus[1].name, gpus[1].mig) == (1, "NVIDIA H200", False)
    assert gpus[1].memory_bytes == 150_754_820_096


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, UUIDS),
        ("", ()),
        ("  ", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("2,0", (UUIDS[2], UUIDS[0])),
        (" 1 ", (UUIDS[1],)),
        ("GPU-bb33,GPU-aa11", (UUIDS[2], UUIDS[0])),
        ("GPU-b", (UUIDS[2],)),
        ("gpu-AA2,0", (UUIDS[1], UUIDS[0])),
    ],
)
def test_cuda_visible_devices(gpus: tuple[Gpu, ...], value: str | None, expected: tuple[str, ...]) -> None:
    environment = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    assert uuids(visible_gpus(gpus, environment)) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "'3' is no GPU"),
        ("0,7", "'7' is no GPU"),
        ("GPU-aa", "fits 2 GPUs"),
        ("GPU-zz", "is no GPU"),
        ("0,0", "names a GPU twice"),
        ("0,GPU-aa11", "names a GPU twice"),
        ("0,,1", "'' is no GPU"),
        ("MIG-1234", "MIG slice"),
        ("MIG-GPU-aa11/1/0", "MIG slice"),
    ],
)
def test_bad_values_are_errors_and_not_silently_cut(gpus: tuple[Gpu, ...], value: str, message: str) -> None:
    with pytest.raises(MeterError, match=message) as caught:
        visible_gpus(gpus, {"CUDA_VISIBLE_DEVICES": value})
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("visible", "selection", "expected"),
    [
        (None, None, UUIDS),
        (None, "1", (UUIDS[1],)),
        ("2,0", "0", (UUIDS[2],)),
        ("2,0", "1, 0", (UUIDS[0], UUIDS[2])),
        ("2,0", "GPU-aa11", (UUIDS[0],)),
    ],
)
def test_a_selection_counts_the_visible_ones(
    gpus: tuple[Gpu, ...], visible: str | None, selection: str | None, expected: tuple[str, ...]
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert uuids(select_gpus(gpus, selection, environment)) == expected


@pytest.mark.parametrize(
    ("visible", "selection"), [("2,0", "2"), ("2,0", "GPU-aa22"), ("", "0"), ("0", "0,0"), ("0,1", ""), ("0", "-1")]
)
def test_a_selection_cannot_leave_the_visible_ones(gpus: tuple[Gpu, ...], visible: str, selection: str) -> None:
    with pytest.raises(MeterError, match="--llem-gpus"):
        select_gpus(gpus, selection, {"CUDA_VISIBLE_DEVICES": visible})


def test_a_gpu_in_mig_slices_is_refused_only_if_it_is_used(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a", mig=True), FakeGpu(uuid="GPU-b"))
    found = list_gpus()
    assert uuids(visible_gpus(found, {"CUDA_VISIBLE_DEVICES": "1"})) == ("GPU-b",)
    for environment in ({}, {"CUDA_VISIBLE_DEVICES": "0"}):
        with pytest.raises(MeterError, match="MIG slices"):
            visible_gpus(found, environment)


def test_memory_in_use_leaves_out_the_driver_s_reserve(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu(uuid="GPU-a", used_bytes=0), FakeGpu(uuid="GPU-b", memory_v2=False, processes=[(5, 7)]))
    assert used_memory_bytes("GPU-a") == 0
    assert used_memory_bytes("GPU-b") == 7  # an older driver: what the processes hold
    fake.gpus[0].used_bytes = 10**9
    assert used_memory_bytes("GPU-a") == 10**9
    with pytest.raises(MeterError, match="no GPU GPU-c"):
        used_memory_bytes("GPU-c")


def test_processes_are_those_that_compute_and_those_that_draw(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a", processes=[(30, 3), (10, None)], graphics=[(20, 2), (30, 3)]))
    assert processes_on("GPU-a") == (
        GpuProcess(10, "process-10", None),
        GpuProcess(20, "process-20", 2),
        GpuProcess(30, "process-30", 3),
    )
