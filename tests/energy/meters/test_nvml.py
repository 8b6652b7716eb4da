"""The NVML meter on fake GPUs; the real ones are in ``test_nvml_gpu.py``."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_llem.energy.meter import Historian
from pytest_llem.energy.meters.nvml import SAME_S, NvmlMeter
from pytest_llem.errors import MeterError
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]


def test_a_device_is_known_by_uuid_with_limit_and_driver(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a"), FakeGpu(uuid="GPU-b", name="NVIDIA L40S", limit_w=350.0))
    first, second = NvmlMeter().devices()
    assert (first.uuid, first.index, first.driver) == ("GPU-a", 0, "580.159")
    assert (second.uuid, second.name, second.index, second.power_limit_w) == ("GPU-b", "NVIDIA L40S", 1, 350.0)


def test_the_counter_steps_every_tenth_of_a_second_in_joules(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu(power_w=400.0))
    meter = NvmlMeter()
    (device,) = meter.devices()
    assert (meter.source, meter.method, meter.measured) == ("nvml_counter", "bracketed", True)
    sampler = meter.open([device], None)
    first = sampler.counter(device)
    time.sleep(0.25)
    second = sampler.counter(device)
    assert first is not None
    assert second is not None
    assert first.energy_j >= 5000
    assert first.before <= first.after < second.before
    assert second.energy_j - first.energy_j in (pytest.approx(80), pytest.approx(120))
    assert fake.opened > 0


def test_the_driver_s_own_samples_come_once_and_on_our_clock(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(power_w=512.5))
    meter = NvmlMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    assert isinstance(sampler, Historian)
    first = sampler.history(device, 0.0)
    assert len(first) == 119
    assert 0 <= time.monotonic() - first[-1].time < 0.1
    time.sleep(0.1)
    second = sampler.history(device, first[-1].time)
    assert 3 <= len(second) <= 10
    assert second[0].time - first[-1].time == pytest.approx(0.02, abs=0.002)
    assert {read.instant_w for read in (*first, *second)} == {512.5}
    assert sampler.history(device, time.monotonic() + 1) == []


def test_samples_from_before_the_clock_was_set_back_are_left_out(
    fake_nvml: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvml(FakeGpu())
    meter = NvmlMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    assert isinstance(sampler, Historian)
    true_time, began = time.time, time.monotonic()
    since = began - 1
    monkeypatch.setattr(
        "pytest_llem.energy.meters.nvml.time", SimpleNamespace(time=lambda: true_time() - 0.5, monotonic=time.monotonic)
    )
    reads = sampler.history(device, since)
    late = (time.monotonic() - began) / 0.02  # samples that came while a busy machine let this wait
    assert 45 <= len(reads) <= 55 + late, "not the last half second, which seems to lie ahead"
    assert since < reads[0].time <= reads[-1].time <= time.monotonic() + SAME_S


def test_power_has_both_of_nvml_s_fields(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(power_w=512.5, average_w=480.0))
    meter = NvmlMeter()
    (device,) = meter.devices()
    read = meter.open([device], None).power(device, full=False)
    assert read is not None
    assert (read.instant_w, read.average_w, read.temperature_c) == (512.5, 480.0, None)


def test_a_full_read_has_memory_without_the_driver_s_reserve(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(used_bytes=123, throttle=0x40, temperature_c=71))
    meter = NvmlMeter()
    (device,) = meter.devices()
    read = meter.open([device], None).power(device, full=True)
    assert read is not None
    assert (read.memory_bytes, read.throttle_reasons, read.temperature_c) == (123, 0x40, 71)
    assert (read.utilization, read.sm_clock_hz, read.memory_clock_hz) == (0.75, 1.98e9, 3.201e9)


@pytest.mark.parametrize(
    ("name", "architecture", "instant", "average"),
    [
        ("NVIDIA GeForce RTX 3090", 7, None, 390.0),  # Ampere: nvmlDeviceGetPowerUsage is a one-second average
        ("NVIDIA A100-SXM4-80GB", 7, 390.0, None),  # but instant on GA100
        ("Tesla V100-SXM2-32GB", 5, 390.0, None),  # and on what came before
    ],
)
def test_without_the_fields_power_usage_counts_as_what_the_manual_says(
    fake_nvml: Install, name: str, architecture: int, instant: float | None, average: float | None
) -> None:
    fake_nvml(FakeGpu(name=name, architecture=architecture, instant_field=False))
    meter = NvmlMeter()
    (device,) = meter.devices()
    read = meter.open([device], None).power(device, full=False)
    assert read is not None
    assert (read.instant_w, read.average_w) == (instant, average)


def test_without_a_counter_it_falls_back_to_power(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a"), FakeGpu(uuid="GPU-b", counter=False))
    meter = NvmlMeter()
    assert (meter.source, meter.method) == ("nvml_power", "power_integral")
    _, second = meter.devices()
    assert meter.open([second], None).counter(second) is None


def test_mig_is_said_to_be_unsupported(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a", mig=True))
    with pytest.raises(MeterError, match="MIG") as caught:
        NvmlMeter().devices()
    assert caught.value.hint is not None
    assert "nvidia-smi -mig 0" in caught.value.hint


def test_a_gpu_in_mig_slices_is_left_out_and_cannot_be_opened(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu(uuid="GPU-a"), FakeGpu(uuid="GPU-b"))
    meter = NvmlMeter()
    _, second = meter.devices()
    fake.gpus[1].mig = True
    assert [device.uuid for device in meter.devices()] == ["GPU-a"]
    with pytest.raises(MeterError, match="MIG is not supported"):
        meter.open([second], None)


def test_a_gpu_that_does_not_know_mig_is_a_whole_one(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(mig=None))
    assert len(NvmlMeter().devices()) == 1


def test_a_lost_gpu_raises(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu())
    meter = NvmlMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    fake.gpus[0].lost_after_s = 0.0
    for read in (lambda: sampler.counter(device), lambda: sampler.power(device, full=True)):
        with pytest.raises(MeterError, match=device.uuid):
            read()


def test_no_gpu_and_an_unknown_one_say_what_to_do(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu())
    (device,) = NvmlMeter().devices()
    fake.gpus.clear()
    with pytest.raises(MeterError, match="no GPU"):
        NvmlMeter().devices()
    with pytest.raises(MeterError, match=device.uuid):
        NvmlMeter().open([device], None)
