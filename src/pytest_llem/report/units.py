"""Figures for people: three or four digits and a prefix. Only ever for showing; stored figures are never rounded."""

from __future__ import annotations

import math

from pytest_llem.study.metrics import METRICS

NONE = "–"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_COUNTED = {"": "", "1/s": "/s"}  # no quantity with a prefix: 12,300/s, not 12.3 k/s


def scale(value: float, unit: str) -> tuple[float, str]:
    """The SI prefix that leaves one to three digits before the point: its factor, and it with the unit."""
    if unit in _COUNTED:
        return 1.0, _COUNTED[unit]
    size = abs(value)
    found = next(((factor, prefix) for factor, prefix in _PREFIXES if size >= factor * 0.9995), _PREFIXES[-1])
    factor, prefix = found if size else (1.0, "")
    return factor, f" {prefix}{unit}"


def number(value: float | None, digits: int = 3) -> str:
    """``1,234``, ``12.3``, ``0.0123``: at least ``digits`` digits that matter, never an exponent in between."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    size = int(f"{value:.{digits - 1}e}".partition("e")[2])  # after rounding: 0.9997 is 1.00, not 1.000
    return f"{value:.2e}" if size < -4 or size > 9 else f"{value:,.{max(0, digits - 1 - size)}f}"


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """``0.01234`` and ``J`` make ``12.3 mJ``; None makes a dash."""
    if value is None or not math.isfinite(value):
        return NONE
    factor, suffix = scale(value, unit)
    return f"{number(value / factor, digits)}{suffix}"


def interval(low: float, high: float, unit: str) -> str:
    """``12.1 … 12.6 mJ``: both ends with the prefix of the larger."""
    factor, suffix = scale(max(abs(low), abs(high)), unit)
    return f"{number(low / factor)} … {number(high / factor)}{suffix}"


def figure(value: float | None, metric: str, digits: int = 3) -> str:
    """A metric's value with its unit."""
    return si(value, METRICS[metric.partition(".")[0]].unit, digits)


def figures(ends: tuple[float, float] | None, metric: str) -> str:
    """An interval of a metric's values, with their unit."""
    return NONE if ends is None else interval(*ends, METRICS[metric.partition(".")[0]].unit)


def duration(seconds: float) -> str:
    """``75`` makes ``1 min 15 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
