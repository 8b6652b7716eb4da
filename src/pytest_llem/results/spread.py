"""Latency statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_llem.results.model import Spread


def spread(seconds: Sequence[float]) -> Spread | None:
    """Mean, median and percentiles (linear interpolation, numpy's default); None where there is nothing."""
    if not seconds:
        return None
    values = np.asarray(seconds, dtype=np.float64)
    p50, p90, p95, p99 = (float(x) for x in np.percentile(values, (50, 90, 95, 99)))
    return Spread(
        mean=float(values.mean()), median=float(np.median(values)), p50=p50, p90=p90, p95=p95, p99=p99, n=len(values)
    )
