"""Figures for people: three or four digits and a prefix. Only ever for showing; stored figures are never rounded."""

from __future__ import annotations

import math

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def scale(value: float) -> tuple[float, str]:
    """The SI prefix that leaves one to three digits before the point."""
    size = abs(value)
    for factor, prefix in _PREFIXES:
        if size >= factor * 0.9995:
            return factor, prefix
    return (1.0, "") if size == 0 else (1e-9, "n")


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """``0.01234`` and ``J`` make ``12.3 mJ``; None makes a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    factor, prefix = scale(value)
    return f"{_significant(value / factor, digits)} {prefix}{unit}"


def interval(low: float, high: float, unit: str) -> str:
    """``12.1 … 12.6 mJ``: both ends with the prefix of the larger."""
    factor, prefix = scale(max(abs(low), abs(high)))
    return f"{_significant(low / factor, 3)} … {_significant(high / factor, 3)} {prefix}{unit}"


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    exponent = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])  # after rounding: 0.9997 is 1.00, not 1.000
    places = max(0, digits - 1 - exponent)
    return f"{value:.{places}f}"


def duration(seconds: float) -> str:
    """``75`` makes ``1 min 15 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
