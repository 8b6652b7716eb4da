"""What only a real NVIDIA GPU can show: its counter, its identity, its memory, and who else is on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pynvml
import pytest

from pytest_llem.energy.choose import choose_meter
from pytest_llem.energy.doctor import examine
from pytest_llem.energy.environment import snapshot
from pytest_llem.energy.estimators.knots import find_knots
from pytest_llem.energy.gpus import Gpu, list_gpus, processes_on, select_gpus, used_memory_bytes
from pytest_llem.energy.idle import check_idle, state_of, wait_until_idle, wait_until_settled
from pytest_llem.energy.meter import Device
from pytest_llem.energy.recorder import Recorder
from pytest_llem.errors import MeterError

pytestmark = pytest.mark.gpu
GIB = 2**30


@pytest.fixture
def gpu() -> Gpu:
    """The first GPU that may be used, free of others."""
    try:
        chosen = select_gpus(list_gpus(), None)[0]
    except MeterError as error:
        pytest.skip(error.message)
    wait_until_idle([chosen], 30.0)
    return chosen


@pytest.fixture
def device(gpu: Gpu) -> Device:
    return next(device for device in choose_meter("nvml").meter.devices() if device.uuid == gpu.uuid)


@contextmanager
def another_process(gpu: Gpu, size: int, *words: str) -> Iterator[tuple[int, str]]:
    """A process on ``gpu`` that holds ``size`` bytes; its pid, and the UUID of the GPU that CUDA gave it."""
    command = [sys.executable, str(Path(__file__).with_name("cuda_load.py")), str(size), *words]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": gpu.uuid}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().decode().strip()
        finally:
            process.communicate(timeout=30)


def test_uuids_are_those_of_nvidia_smi_and_of_cuda(gpu: Gpu) -> None:
    with another_process(gpu, 2**20) as (_, cuda_uuid):
        assert cuda_uuid == gpu.uuid
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
        assert all(found.uuid in listed for found in list_gpus())


def test_a_clean_gpu_gives_no_finding_though_version_1_counts_the_reserve(gpu: Gpu) -> None:
    handle = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
    print(f"memory in use: version 1 {pynvml.nvmlDeviceGetMemoryInfo(handle).used}, ours {used_memory_bytes(gpu.uuid)}")
    assert check_idle(gpu) == []
    assert used_memory_bytes(gpu.uuid) < pynvml.nvmlDeviceGetMemoryInfo(handle).used


def test_a_squatting_process_is_found_and_its_end_is_noticed(gpu: Gpu) -> None:
    with another_process(gpu, GIB) as (pid, _):
        findings = check_idle(gpu)
        print([finding.message for finding in findings], processes_on(gpu.uuid))
        assert "leftover_memory" in [finding.code for finding in findings]
        assert used_memory_bytes(gpu.uuid) > GIB
        if pid in [process.pid for process in processes_on(gpu.uuid)]:  # hidden in some containers
            assert "foreign_process" in [finding.code for finding in findings]
    assert wait_until_idle([gpu], 30.0) < 30


def test_the_counter_steps_and_agrees_with_power_under_load(device: Device, gpu: Gpu, tmp_path: Path) -> None:
    with Recorder("nvml", [device], tmp_path) as recorder, another_process(gpu, 4 * GIB, "load"):
        time.sleep(1.0)
        recorder.pace("dense")
        start = time.monotonic()
        time.sleep(4.0)
        end = time.monotonic()
        recording = recorder.stop()
    assert recording.meter.source == "nvml_counter"
    period_s = find_knots(recording.trace(device.uuid, "load", start, end, (), 0.0)).period
    power = recording.mean_power(device.uuid, start, end)
    samples = recording.power[device.uuid]
    instant_w = float(np.mean(samples[(samples[:, 0] > start) & (samples[:, 0] < end), 1]))
    print(f"period {period_s:.4f} s, counter {power}, instant {instant_w:.1f} W, {recording.cost}")
    assert 0.01 < period_s < 0.5
    assert power is not None
    assert power[0] == pytest.approx(instant_w, rel=0.05)
    assert device.power_limit_w is not None
    assert 50 < power[0] < device.power_limit_w * 1.05
    row = next(row for row in reversed(recording.rows[device.uuid]) if row.temperature_c is not None)
    assert None not in (row.memory_bytes, row.utilization, row.sm_clock_hz, row.memory_clock_hz, row.throttle_reasons)
    peak = recording.peak_memory_bytes(device.uuid, start, end)
    assert peak is not None
    assert peak > 4 * GIB


def test_inside_a_window_power_is_the_driver_s_own(device: Device, gpu: Gpu, tmp_path: Path) -> None:
    with Recorder("nvml", [device], tmp_path) as recorder, another_process(gpu, 4 * GIB, "load"):
        recorder.pace("dense")
        time.sleep(1.0)
        recorder.pace("quiet")
        start = time.monotonic()
        time.sleep(4.0)
        end = time.monotonic()
        recorder.pace("dense")
        time.sleep(0.5)
        recording = recorder.stop()
    read, own = recording.energy[device.uuid][:, 0], recording.history[device.uuid]
    polled = recording.power[device.uuid]
    assert not np.any((read > start + 0.05) & (read < end))
    inside = own[(own[:, 0] > start) & (own[:, 0] < end)]
    print(f"{len(inside)} samples, each {np.median(np.diff(inside[:, 0])):.4f} s, {end - inside[-1, 0]:.3f} s old")
    assert np.max(np.diff(inside[:, 0])) < 0.1
    assert end - inside[-1, 0] < 0.1
    instant_w = float(np.mean(polled[(polled[:, 0] > start) & (polled[:, 0] < end), 1]))
    assert float(np.mean(inside[:, 1])) == pytest.approx(instant_w, rel=0.05)


def test_recording_between_edges_is_cheap(device: Device, tmp_path: Path) -> None:
    report = examine("nvml", [device], tmp_path, seconds=4.0)
    print(report)
    assert report.slow_cpu_share is not None
    assert report.slow_cpu_share < 0.01
    (found,) = report.devices
    assert found.step_period_s is not None
    assert found.idle_power_w is not None
    assert found.idle_power_ci95_w is not None
    low, high = found.idle_power_ci95_w
    assert high - low < 0.3 * found.idle_power_w  # without a context, idle power itself comes and goes


def test_a_gpu_settles_after_a_load(gpu: Gpu) -> None:
    with another_process(gpu, 4 * GIB, "load"):
        time.sleep(2.0)
        _, loaded_w = state_of(gpu.uuid)
    wait = wait_until_settled(gpu.uuid, 60.0)
    _, idle_w = state_of(gpu.uuid)
    print(loaded_w, wait, idle_w)
    assert loaded_w is not None
    assert idle_w is not None
    assert idle_w < loaded_w
    assert wait.waited_s > 2


def test_the_environment_knows_the_gpu(gpu: Gpu) -> None:
    found = snapshot()
    assert found.driver is not None
    assert found.driver.cuda is not None
    facts = next(facts for facts in found.gpus if facts["uuid"] == gpu.uuid)
    print(found.driver, facts)
    assert facts["vbios"] is not None
    assert facts["power_limit_w"] is not None
