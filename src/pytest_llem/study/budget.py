"""A limit on a figure of a result, as written in a study file or on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, JsonValue, ValidationInfo, WithJsonSchema, field_validator

from pytest_llem.errors import ValueRefused
from pytest_llem.study.metrics import METRIC_NAMES, METRICS, metric_named, quantity
from pytest_llem.study.strict import Strict
from pytest_llem.study.wording import shown

_COMPARISON = re.compile(r"\s*([\w.]+)\s*(<=|>=)\s*(.+?)\s*")


Quantity = Annotated[float, WithJsonSchema({"type": ["number", "string"], "examples": ["2 GiB"]})]


class Budget(Strict):
    """``min <= metric <= max``; ``when`` selects cells by dotted path.

    ``min`` and ``max`` are in the metric's SI unit; they may be written with a unit (``2 GiB``, ``0.5 mJ``, ``3 s``).
    """

    metric: Annotated[str, WithJsonSchema({"enum": METRIC_NAMES})]
    max: Quantity | None = None
    min: Quantity | None = None
    when: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        metric_named(metric)
        return metric

    @field_validator("max", "min", mode="before")
    @classmethod
    def _without_unit(cls, value: object, info: ValidationInfo) -> object:
        if "metric" not in info.data:  # it was refused already
            return None
        return quantity(value, METRICS[info.data["metric"].partition(".")[0]].unit) if isinstance(value, str) else value

    def contradictions(self) -> Iterator[str]:
        if self.max is None and self.min is None:
            yield "a budget needs max, min or both"
        if self.max is not None and self.min is not None and self.min > self.max:
            yield f"min ({self.min:g}) is above max ({self.max:g})"

    @classmethod
    def from_text(cls, text: str) -> Budget:
        """``METRIC<=VALUE`` or ``METRIC>=VALUE``, the value with or without a unit. Raises ``ValueRefused``."""
        match = _COMPARISON.fullmatch(text)
        if match is None:
            raise ValueRefused(
                f"{shown(text)} is not a budget", hint="write METRIC<=VALUE or METRIC>=VALUE, such as energy_j<=5"
            )
        name, relation, limit = match.groups()
        value = quantity(limit, metric_named(name).unit)
        return cls(metric=name, max=value) if relation == "<=" else cls(metric=name, min=value)
