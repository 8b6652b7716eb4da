"""What may not get dearer, and by how much it may: ``energy_per_output_token_j:3%``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pytest_llem.errors import LlemError
from pytest_llem.study.metrics import metric_named
from pytest_llem.study.wording import shown

DEFAULT_RULE = "energy_per_output_token_j:5%"
"""What a comparison looks at where nothing is asked for."""

HIGHER_IS_BETTER = frozenset({"output_tokens_per_s", "requests_per_s", "mfu", "energy_optimality"})
_WORK = frozenset({"input_tokens", "output_tokens"})  # what was asked for, not what it cost
_RULE = re.compile(r"\s*([\w.]+)\s*:\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*")


def is_energy(metric: str) -> bool:
    """Whether a figure comes from a power meter, so that an estimate or an invalid measurement spoils it."""
    return metric.endswith(("_j", "_w")) or metric == "energy_optimality"


@dataclass(frozen=True)
class Rule:
    """``tolerance``: the relative change for the worse that is still accepted (0.03 is 3 %)."""

    metric: str
    tolerance: float

    @classmethod
    def from_text(cls, text: str) -> Rule:
        """Read ``METRIC:5%``. Raises LlemError."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise LlemError(
                f"{shown(text)} is not a rule", hint="write METRIC:TOLERANCE%, such as energy_per_output_token_j:3%"
            )
        name, percent = match[1], float(match[2])
        metric_named(name)
        if name in _WORK:
            raise LlemError(f"{name} is what was asked for, not what it cost", hint="name a cost, such as energy_j")
        if percent >= 100:
            raise LlemError(f"{shown(text)} accepts a change of 100 % or more", hint="write a tolerance below 100%")
        return cls(name, percent / 100)

    @property
    def sign(self) -> int:
        """+1 where more is worse, -1 where less is worse."""
        return -1 if self.metric.partition(".")[0] in HIGHER_IS_BETTER else 1

    @property
    def margin(self) -> float:
        """The tolerance as a distance on the log scale: down to 1 - tolerance where less is worse."""
        return math.log1p(self.tolerance) if self.sign > 0 else -math.log1p(-self.tolerance)
