"""The examination of a meter whose properties are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_llem.energy.choose import make_meter
from pytest_llem.energy.doctor import examine
from pytest_llem.energy.meter import Device
from pytest_llem.energy.trace import Trace, dump_traces
from tests.energy.conftest import ShadowGpus
from tests.energy.fake_nvml import FakeGpu


def test_a_stepping_counter_is_recognised(tmp_path: Path, shadow_gpus: ShadowGpus) -> None:
    shadow_gpus(FakeGpu(uuid="GPU-a", power_w=80.0))
    report = examine("nvml", [Device("GPU-a", "NVIDIA H200", 0)], tmp_path, seconds=1.5)
    (device,) = report.devices
    assert device.step_period_s == pytest.approx(0.1, abs=0.02)
    assert device.step_period_sd_s is not None
    assert device.step_period_sd_s < 0.01
    assert device.idle_power_w == pytest.approx(80, rel=0.1)
    assert device.idle_power_ci95_w is not None
    assert device.idle_power_ci95_w[0] <= 80 <= device.idle_power_ci95_w[1]
    assert device.noise_w is not None
    assert device.noise_w < 60  # the power is steady: what is seen is the blur of when a step was
    assert device.counter_read_s is not None
    assert 0 < device.counter_read_s < 0.05
    assert device.power_period_s is None  # steady power takes no new value
    assert report.meter.source == "nvml_counter"
    assert report.dense_cpu_share is not None
    assert report.slow_cpu_share is not None
    assert 0 < report.slow_cpu_share < report.dense_cpu_share < 0.3


def test_a_meter_without_a_counter_reports_its_power(tmp_path: Path) -> None:
    times = np.arange(0, 4, 0.01)
    watts = 100 + 5.0 * (np.floor(times / 0.2) % 2)  # a new value every 0.2 s
    power = np.column_stack([times, watts, np.full_like(times, np.nan)])
    file = tmp_path / "trace.json.gz"
    file.write_bytes(dump_traces([Trace("p", 1.0, 3.0, (), np.empty((0, 3)), power)]))
    name = f"replay:{file}"
    report = examine(name, make_meter(name).devices(), tmp_path, seconds=1.5)
    (device,) = report.devices
    assert device.step_period_s is None
    assert device.counter_read_s is None
    assert device.power_period_s == pytest.approx(0.2, abs=0.06)
    assert device.idle_power_w == pytest.approx(102.5, abs=1.5)
    assert device.noise_w == pytest.approx(2.5, abs=0.5)


def test_cpu_time_has_no_steps(tmp_path: Path) -> None:
    report = examine("cpu-estimate", make_meter("cpu-estimate").devices(), tmp_path, seconds=0.5)
    (device,) = report.devices
    assert (device.step_period_s, device.noise_w) == (None, None)
    assert device.counter_read_s is not None
