"""Energy from a recorded trace: pure functions, four methods, every figure with a 95 % interval.

``bracketed`` (the default) uses idle time before and after the window and is exact to about 0.2 J for any length.
``counter_interpolated``, ``counter_delta`` and ``power_integral`` are the usual ways, for meters and traces that have
no idle time, and to compare with. A method that a trace cannot serve gives no energy and says why; only a trace
without the source that a method reads falls back to another, named in ``TraceEnergy.method``.
"""

from pytest_llem.energy.estimators.estimate import METHODS, estimate
from pytest_llem.energy.estimators.interval import Figure, combine
from pytest_llem.energy.estimators.result import TraceEnergy, WindowEnergy

__all__ = ["METHODS", "Figure", "TraceEnergy", "WindowEnergy", "combine", "estimate"]
