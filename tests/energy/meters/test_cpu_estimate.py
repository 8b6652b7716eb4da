"""The CPU estimate on real processes of this machine."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from pytest_llem.energy.meters.cpu_estimate import WATTS_PER_CORE, CpuEstimateMeter
from pytest_llem.errors import MeterError

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"


def test_it_says_that_it_is_an_estimate_and_of_what() -> None:
    meter = CpuEstimateMeter()
    (device,) = meter.devices()
    assert (meter.source, meter.measured, meter.scope) == ("cpu_estimate", False, "host")
    assert device.extra == {"watts_per_core": str(WATTS_PER_CORE)}


def test_joules_are_cpu_seconds_times_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLEM_CPU_WATTS_PER_CORE", "10")
    meter = CpuEstimateMeter()
    (device,) = meter.devices()
    command = [sys.executable, "-c", BURN.format(seconds=0.3) + "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        sampler = meter.open([device], process.pid)
        used_s = 0.0
        while used_s < 0.28:  # the start of the interpreter, before it was followed, may be missing
            time.sleep(0.05)
            read = sampler.counter(device)
            assert read is not None
            used_s = read.energy_j / 10
        process.communicate(b"\n")
    assert used_s < 0.4


def test_nothing_is_counted_before_a_process_is_followed() -> None:
    meter = CpuEstimateMeter()
    (device,) = meter.devices()
    sampler = meter.open([device], None)
    read = sampler.counter(device)
    assert read is not None
    assert read.energy_j == 0
    assert sampler.power(device, full=False) is None


def test_a_full_read_has_the_tree_s_resident_memory() -> None:
    meter = CpuEstimateMeter()
    (device,) = meter.devices()
    with subprocess.Popen(
        [sys.executable, "-c", "x = b'1' * 50_000_000; print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sampler = meter.open([device], process.pid)
        sampler.counter(device)
        read = sampler.power(device, full=True)
        process.communicate(b"\n")
    assert read is not None
    assert read.instant_w is None
    assert read.memory_bytes is not None
    assert 50_000_000 < read.memory_bytes < 200_000_000


@pytest.mark.parametrize("value", ["many", "0", "-3", "nan", "inf", ""])
def test_a_power_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LLEM_CPU_WATTS_PER_CORE", value)
    with pytest.raises(MeterError, match="LLEM_CPU_WATTS_PER_CORE"):
        CpuEstimateMeter().devices()
