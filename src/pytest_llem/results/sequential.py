"""When a study with ``cycles: auto`` may stop, without a look at the figures on the way making false alarms likelier.

The chance of an error is spent in portions: at each look (after 3, 5, 8, 12 cycles of at most 12) the verdict is asked
for at that look's portion of ``alpha``. The portions follow Lan and DeMets' spending function ``alpha * t`` (1983; Kim
and DeMets 1987, rho = 1), t the share of the cycles done. They are added up by Bonferroni's inequality instead of the
normal theory of group sequential tests, which three cycles do not follow: the sum bounds the errors whatever the
figures' distribution, at the price of a little power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_llem.results.model import Outcome
from pytest_llem.results.tdist import quantile

FIRST_LOOK = 3
_GROWTH = 1.5  # each look has about half again as many cycles as the one before: 3, 5, 8, 12


@dataclass(frozen=True)
class Plan:
    """At most ``max_cycles``. ``precision``: half width of the mean's 95 % interval, relative to it, that is enough
    where there is nothing to decide (0.02 is 2 %)."""

    max_cycles: int = 12
    precision: float | None = None

    def looks(self) -> tuple[int, ...]:
        """After how many cycles the figures are looked at; the last is ``max_cycles``."""
        looks = []
        n = FIRST_LOOK
        while n < self.max_cycles:
            looks.append(n)
            n = max(n + 1, round(n * _GROWTH + 0.25))
        return (*looks, self.max_cycles)

    def next_look(self, cycles: int) -> int | None:
        """The first look after ``cycles``; None when there is none."""
        return next((look for look in self.looks() if look > cycles), None)

    def portion(self, cycles: int) -> float:
        """The share of the error that may be spent at the look that so many cycles belong to."""
        looks = (0, *self.looks())
        here = next((i for i, look in enumerate(looks) if look >= cycles and i > 0), len(looks) - 1)
        return (looks[here] - looks[here - 1]) / self.max_cycles


Stop = Literal["decided", "precise", "limit"]


def stop(plan: Plan, cycles: int, figures: Sequence[Sequence[float]], verdicts: Sequence[Outcome] = ()) -> Stop | None:
    """Whether a configuration needs no further cycle, and why; None: go on until ``plan.next_look(cycles)``.

    ``figures``: for each metric that matters its value in every cycle. ``verdicts``: this configuration's, judged with
    ``plan`` in the gate; they decide where there are any, else the precision does."""
    if cycles >= plan.max_cycles:
        return "limit"
    if cycles not in plan.looks():
        return None
    if verdicts:
        return "decided" if "inconclusive" not in verdicts or "fail" in verdicts else None
    if plan.precision is not None and figures:
        widest = max(relative_half_width(values, 0.05 * plan.portion(cycles)) for values in figures)
        return "precise" if widest <= plan.precision else None
    return None


def relative_half_width(values: Sequence[float], error: float) -> float:
    """Half the width of the mean's interval over the mean; infinite for a single value.

    Student's t; ``error``: the chance that the interval misses, both sides together."""
    found = np.asarray(values, dtype=np.float64)
    mean = abs(float(found.mean()))
    if len(found) < 2 or mean == 0:
        return float("inf")
    factor = float(quantile(1 - error / 2, np.array(float(len(found) - 1))))
    return factor * float(found.std(ddof=1)) / math.sqrt(len(found)) / mean
