"""Zeus itself (where it is installed) on a fake NVML, and what is said where it cannot work."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pytest_llem.energy.meter import Device
from pytest_llem.energy.meters import zeus
from pytest_llem.energy.meters.zeus import ZeusMeter, ZeusSampler
from pytest_llem.errors import MeterError
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]


def test_a_missing_zeus_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeus, "find_spec", lambda name: None)
    with pytest.raises(MeterError, match="zeus is not installed") as caught:
        ZeusMeter().devices()
    assert caught.value.hint == "pip install 'pytest-llem[zeus]'"


@pytest.fixture
def fresh_zeus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeus keeps its list of GPUs for the life of the process; each test starts anew."""
    gpu = pytest.importorskip("zeus.device.gpu")
    monkeypatch.setattr(gpu, "_gpus", None)


@pytest.mark.usefixtures("fresh_zeus")
def test_no_gpu_is_a_meter_error() -> None:
    with pytest.raises(MeterError, match="zeus: "):
        ZeusSampler([Device("GPU-a", "NVIDIA H200", 0)])
    with pytest.raises(MeterError, match="GPUs only"):
        ZeusSampler([Device("cpu", "CPU")])


@pytest.mark.usefixtures("fresh_zeus")
def test_the_counter_is_that_of_zeus_s_own_windows(fake_nvml: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")  # must not renumber: indices are NVML's
    fake_nvml(FakeGpu(uuid="GPU-a", power_w=100.0), FakeGpu(uuid="GPU-b", power_w=400.0))
    meter = ZeusMeter()
    _, device = meter.devices()
    sampler = meter.open([device], None)
    assert isinstance(sampler, ZeusSampler)
    monitor = sampler._monitor
    monitor.begin_window("all", sync_execution=False)
    first = sampler.counter(device)
    time.sleep(0.35)
    last = sampler.counter(device)
    measured = monitor.end_window("all", sync_execution=False)
    assert first is not None
    assert last is not None
    assert last.energy_j - first.energy_j == pytest.approx(measured.gpu_energy[1], abs=40.1)  # at most one step apart
    assert last.energy_j - first.energy_j in (pytest.approx(120), pytest.approx(160))
    power = sampler.power(device, full=False)
    assert power is not None
    assert power.instant_w == 400.0


@pytest.mark.usefixtures("fresh_zeus")
def test_a_lost_gpu_is_a_meter_error(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu(uuid="GPU-a"))
    meter = ZeusMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    fake.gpus[0].lost_after_s = 0.0
    with pytest.raises(MeterError, match="GPU-a"):
        sampler.counter(device)
