"""CodeCarbon itself, where it is installed: on this machine's CPU, and on a fake GPU."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.energy.meter import Device
from pytest_llem.energy.meters import codecarbon
from pytest_llem.energy.meters.codecarbon import CodeCarbonMeter
from pytest_llem.energy.recorder import Recorder
from pytest_llem.errors import MeterError
from tests.energy.conftest import ShadowGpus
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]


def test_a_missing_codecarbon_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecarbon, "find_spec", lambda name: None)
    with pytest.raises(MeterError, match="codecarbon is not installed") as caught:
        CodeCarbonMeter().devices()
    assert caught.value.hint == "pip install 'pytest-llem[codecarbon]'"


def test_without_a_gpu_it_is_an_estimate_of_the_host(fake_nvml: Install) -> None:
    fake_nvml()
    meter = CodeCarbonMeter()
    assert (meter.measured, meter.scope, meter.source) == (False, "host", "codecarbon")


def test_with_a_gpu_it_measures_it(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu())
    meter = CodeCarbonMeter()
    assert (meter.measured, meter.scope, meter.method) == (True, "device", "bracketed")


def test_the_cpu_s_energy_rises_by_a_plausible_power(fake_nvml: Install) -> None:
    pytest.importorskip("codecarbon")
    fake_nvml()
    meter = CodeCarbonMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    try:
        first = sampler.counter(device)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            sum(range(1000))  # keep this core busy
        last = sampler.counter(device)
        assert sampler.power(device, full=False) is None
    finally:
        sampler.close()
    assert first is not None
    assert last is not None
    assert 0.1 < last.energy_j - first.energy_j < 500


def test_a_gpu_s_energy_is_its_own_and_in_joules(
    tmp_path: Path, shadow_gpus: ShadowGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("codecarbon")
    shadow_gpus(FakeGpu(uuid="GPU-a", power_w=1000.0), FakeGpu(uuid="GPU-b", power_w=100.0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # must not choose: indices are NVML's
    devices = [Device("GPU-b", "NVIDIA H200", 1)]
    with pytest.raises(MeterError, match="codecarbon sees no GPU"):
        Recorder("codecarbon", devices, tmp_path).start()
    smi = tmp_path / "nvidia-smi"  # CodeCarbon takes a machine without it for one without NVIDIA GPUs
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with Recorder("codecarbon", devices, tmp_path) as recorder:
        recorder.pace("dense")
        time.sleep(1.5)
        recording = recorder.stop()
    power = recording.mean_power("GPU-b", 0, recording.last_time())
    assert power is not None
    assert power[1] <= 100 <= power[2]
    assert power[0] == pytest.approx(100, rel=0.15)
