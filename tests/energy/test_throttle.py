"""NVML's reasons for lowered clocks, by name."""

from __future__ import annotations

import pynvml
import pytest

from pytest_llem.energy import throttle


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
        assert throttle.names(getattr(pynvml, constant)) == (name,)


@pytest.mark.parametrize(
    ("mask", "names", "thermal", "capped"),
    [
        (None, (), False, False),
        (0, (), False, False),
        (0x1, ("gpu_idle",), False, False),
        (0x4, ("sw_power_cap",), False, True),
        (0x24, ("sw_power_cap", "sw_thermal_slowdown"), True, True),
        (0x80, ("hw_power_brake_slowdown",), True, False),
        (0x1 << 40, ("0x10000000000",), False, False),
    ],
)
def test_masks(mask: int | None, names: tuple[str, ...], thermal: bool, capped: bool) -> None:
    assert throttle.names(mask) == names
    assert throttle.is_thermal(mask) is thermal
    assert throttle.is_power_capped(mask) is capped
