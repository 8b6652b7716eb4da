"""Reason codes: why an energy must not be trusted, or only with care."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "bad_window": "the window's edges or marks are not finite or not in order",
    "not_finite": "a sample is not a finite number",
    "too_few_samples": "there are too few samples to measure anything",
    "clock_jump": "the samples' times go backwards or do not fit the meter's own rhythm",
    "counter_reset": "the energy counter went backwards",
    "device_lost": "the samples stop before the window ends",
    "samples_start_late": "the samples start after the window does",
    "missing_ticks": "steps of the energy counter were not seen, or the meter stood still",
    "no_bracket": "there is no idle time on one side of the window",
    "sources_disagree": "the energy counter and the integral of power differ by more than 5 %",
    "power_above_limit": "the mean power is above the device's limit",
    "power_not_settled": "power changed in the window, or it is too short to tell; compare windows of one length",
    "window_too_short": "the interval is wider than 10 % of the energy",
    "irregular_steps": "the energy counter does not step on a regular grid",
}
"""Every code that the estimators give, and what it means."""

FLAGS = frozenset({"power_not_settled", "window_too_short", "irregular_steps"})
"""Codes that warn: the number is right within its interval."""

FATAL = frozenset(REASONS) - FLAGS
"""Codes that make a result invalid."""
