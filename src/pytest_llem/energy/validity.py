"""Reason codes: why an energy must not be trusted, or only with care. And what the bare samples of a trace show."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from pytest_llem.energy.trace import Trace

REASONS: dict[str, str] = {
    "bad_window": "the window's edges or marks are not finite or not in order",
    "not_finite": "a sample is not a finite number",
    "too_few_samples": "there are too few samples to measure anything",
    "clock_jump": "the samples' times go backwards or do not fit the meter's own rhythm",
    "counter_reset": "the energy counter went backwards",
    "device_lost": "the samples stop before the window ends",
    "samples_start_late": "the samples start after the window does",
    "missing_ticks": "steps of the energy counter were not seen, or the counter stood still",
    "no_bracket": "there is no idle time on one side of the window",
    "sources_disagree": "the energy counter and the integral of power differ by more than 5 %",
    "power_above_limit": "the mean power is above the device's limit",
    "power_not_settled": "power changed in the window, or it is too short to tell; compare windows of one length",
    "window_too_short": "the interval is wider than 10 % of the energy",
    "irregular_steps": "the energy counter does not step on a regular grid",
}
"""Every code that this module and the estimators give, and what it means."""

FLAGS = frozenset({"power_not_settled", "window_too_short", "irregular_steps"})
"""Codes that warn: the number is right within its interval."""

FATAL = frozenset(REASONS) - FLAGS
"""Codes that make a result invalid."""


def check_samples(trace: Trace, uses_counter: bool) -> tuple[str, ...]:
    """Codes for what is wrong with the bare samples; ``uses_counter`` says which source has to cover the window."""
    if not _window_in_order(trace):
        return ("bad_window",)
    source = trace.energy if uses_counter else trace.power
    if len(source) < 3:
        return ("too_few_samples",)
    found = []
    if not _finite(trace):
        found.append("not_finite")
    if _goes_back(trace.energy[:, :2].reshape(-1)) or _goes_back(trace.power[:, 0]):
        found.append("clock_jump")
    if _goes_back(trace.energy[:, 2]):
        found.append("counter_reset")
    if not source[-1, 0] >= trace.t1:
        found.append("device_lost")
    if not source[0, 0] <= trace.t0:
        found.append("samples_start_late")
    return tuple(found)


def _window_in_order(trace: Trace) -> bool:
    ends = [mark.end for mark in trace.marks]
    times = [trace.t0, *ends, trace.t1]
    units = [mark.units for mark in trace.marks]
    increasing = all(a < b for a, b in pairwise(times[:-1])) and times[-2] <= trace.t1
    return all(math.isfinite(x) for x in (*times, *units)) and increasing and trace.t0 < trace.t1


def _finite(trace: Trace) -> bool:
    """A power column may be missing as a whole (a meter without that field), but not here and there."""
    columns = [trace.power[:, i] for i in (1, 2) if not np.all(np.isnan(trace.power[:, i]))]
    return all(bool(np.all(np.isfinite(x))) for x in (trace.energy, trace.power[:, 0], *columns))


def _goes_back(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    return bool(np.any(np.diff(values) < 0))
