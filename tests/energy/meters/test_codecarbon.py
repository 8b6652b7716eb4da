"""CodeCarbon itself, where it is installed: on this machine's CPU, and on a fake GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pytest_llem.energy.meter import Device
from pytest_llem.energy.meters import codecarbon
from pytest_llem.energy.meters.codecarbon import CodeCarbonMeter
from pytest_llem.errors import MeterError
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


def rise_j(meter: CodeCarbonMeter, device: Device, seconds: float) -> float:
    sampler = meter.open([device], None)
    try:
        first = sampler.counter(device)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(range(1000))  # keep this core busy
        last = sampler.counter(device)
    finally:
        sampler.close()
    assert first is not None
    assert last is not None
    assert sampler.power(device, full=False) is None
    return last.energy_j - first.energy_j


def test_the_cpu_s_energy_rises_by_a_plausible_power(fake_nvml: Install) -> None:
    pytest.importorskip("codecarbon")
    fake_nvml()
    meter = CodeCarbonMeter()
    (device,) = meter.devices()
    assert 0.1 < rise_j(meter, device, 1.0) < 500


def test_a_gpu_s_energy_is_its_own_and_in_joules(fake_nvml: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pytest.importorskip("codecarbon.core.gpu")
    if not hasattr(gpu, "pynvml"):
        pytest.skip("CodeCarbon found no pynvml when it was imported")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # must not choose: indices are NVML's
    fake_nvml(FakeGpu(uuid="GPU-a", power_w=1000.0), FakeGpu(uuid="GPU-b", power_w=100.0))
    meter = CodeCarbonMeter()
    _, device = meter.devices()
    assert rise_j(meter, device, 1.0) == pytest.approx(100, abs=20.1)  # a step of 10 J may fall out at each end
