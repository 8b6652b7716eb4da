"""What NVML's clock event reasons mean: names for the bits, and which of them spoil a measurement."""

from __future__ import annotations

# nvml.h, nvmlClocksEventReasons. "thermal" and "power" reasons hold clocks below what the workload would get.
REASONS = {
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
THERMAL = 0x020 | 0x040
HARDWARE = 0x008 | 0x080
POWER_CAP = 0x004


def names(mask: int | None) -> tuple[str, ...]:
    """The reasons in a bit mask, lowest bit first; a bit without a name is given in hexadecimal."""
    if not mask:
        return ()
    bits = (1 << position for position in range(mask.bit_length()))
    return tuple(REASONS.get(bit, f"0x{bit:x}") for bit in bits if mask & bit)


def is_thermal(mask: int | None) -> bool:
    """Clocks were lowered because of heat, or by the hardware's own protection: the figure is not repeatable."""
    return bool(mask and mask & (THERMAL | HARDWARE))


def is_power_capped(mask: int | None) -> bool:
    """Clocks were lowered to keep to the power limit: usual for a large batch, and part of what is measured."""
    return bool(mask and mask & POWER_CAP)
