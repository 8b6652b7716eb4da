"""NVML's reasons for lowered clocks, by name."""

from __future__ import annotations

import pynvml
import pytest

from pytest_llem.energy.nvml import is_throttled, throttle_reasons


def test_the_bits_are_nvml_s() -> None:
    for constant, name in [
        ("nvmlClocksThrottleReasonGpuIdle", "gpu_idle"),
        ("nvmlClocksThrottleReasonSwPowerCap", "sw_power_cap"),
        ("nvmlClocksThrottleReasonHwSlowdown", "hw_slowdown"),
        ("nvmlClocksThrottleReasonSwThermalSlowdown", "sw_thermal_slowdown"),
        ("nvmlClocksThrottleReasonHwThermalSlowdown", "hw_thermal_slowdown"),
        ("nvmlClocksThrottleReasonHwPowerBrakeSlowdown", "hw_power_brake_slowdown"),
        ("nvmlClocksThrottleReasonReliability", "reliability"),
    ]:
        assert throttle_reasons(getattr(pynvml, constant)) == (name,)


@pytest.mark.parametrize(
    ("mask", "names", "throttled"),
    [
        (None, (), False),
        (0, (), False),
        (0x1, ("gpu_idle",), False),
        (0x4, ("sw_power_cap",), False),
        (0x24, ("sw_power_cap", "sw_thermal_slowdown"), True),
        (0x80, ("hw_power_brake_slowdown",), True),
        (0x1 << 40, ("0x10000000000",), False),
    ],
)
def test_masks(mask: int | None, names: tuple[str, ...], throttled: bool) -> None:
    assert throttle_reasons(mask) == names
    assert is_throttled(mask) is throttled
