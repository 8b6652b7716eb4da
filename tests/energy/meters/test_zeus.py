"""Zeus itself (where it is installed) on a fake NVML, and what is said where it cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_llem.energy.meter import Device
from pytest_llem.energy.meters import zeus
from pytest_llem.energy.meters.zeus import ZeusMeter, ZeusSampler
from pytest_llem.energy.recorder import Recorder
from pytest_llem.errors import MeterError
from tests.energy.conftest import ShadowGpus
from tests.energy.fake_nvml import FakeGpu


def test_a_missing_zeus_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeus, "find_spec", lambda name: None)
    with pytest.raises(MeterError, match="zeus is not installed") as caught:
        ZeusMeter().devices()
    assert caught.value.hint == "pip install 'pytest-llem[zeus]'"


def test_no_gpu_is_a_meter_error() -> None:
    pytest.importorskip("zeus")
    with pytest.raises(MeterError, match="zeus: "):
        ZeusSampler([Device("GPU-a", "NVIDIA H200", 0)])
    with pytest.raises(MeterError, match="GPUs only"):
        ZeusSampler([Device("cpu", "CPU")])


def test_the_counter_is_that_of_zeus_s_own_windows(shadow_gpus: ShadowGpus) -> None:
    """In a process of its own: Zeus looks for GPUs once, when it is first used."""
    pytest.importorskip("zeus")
    environment = shadow_gpus(FakeGpu(uuid="GPU-a", power_w=100.0), FakeGpu(uuid="GPU-b", power_w=400.0))
    script = (
        "import time\nfrom pytest_llem.energy.meters.zeus import ZeusMeter\n"
        "meter = ZeusMeter()\n_, device = meter.devices()\nsampler = meter.open([device], None)\n"
        "sampler._monitor.begin_window('all', sync_execution=False)\n"
        "first = sampler.counter(device).energy_j\ntime.sleep(0.35)\nlast = sampler.counter(device).energy_j\n"
        "measured = sampler._monitor.end_window('all', sync_execution=False)\n"
        "print(last - first, measured.gpu_energy[1], sampler.power(device, full=False).instant_w)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    rise_j, window_j, instant_w = (float(word) for word in done.stdout.split()[-3:])
    assert rise_j == pytest.approx(window_j, abs=40.1)  # at most one step apart
    assert rise_j == pytest.approx(140, abs=21)
    assert instant_w == 400.0


def test_a_recorder_reads_through_zeus_and_notices_a_lost_gpu(tmp_path: Path, shadow_gpus: ShadowGpus) -> None:
    pytest.importorskip("zeus")
    shadow_gpus(FakeGpu(uuid="GPU-a", power_w=100.0), FakeGpu(uuid="GPU-b", power_w=400.0, lost_after_s=4.0))
    with Recorder("zeus", [Device("GPU-b", "NVIDIA H200", 1)], tmp_path) as recorder:
        recorder.pace("dense")
        time.sleep(4.2)
        recording = recorder.stop()
    assert recording.meter.source == "zeus"
    assert recording.lost is not None
    power = recording.mean_power("GPU-b", 0, recording.last_time())
    assert power is not None
    assert power[0] == pytest.approx(400, rel=0.05)
