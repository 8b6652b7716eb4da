"""A limit on a figure of a result, as written in a study file or on the command line."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from pytest_llem.errors import LlemError
from pytest_llem.study.metrics import METRICS, metric_named, quantity
from pytest_llem.study.problems import shown
from pytest_llem.study.strict import Strict

_COMPARISON = re.compile(r"\s*([\w.]+)\s*(<=|>=|==|=|<|>)\s*(.+?)\s*")


class Budget(Strict):
    """``min <= metric <= max``; ``when`` selects cells by dotted path.

    ``min`` and ``max`` are in the metric's SI unit; they may be written with a unit (``2 GiB``, ``0.5 mJ``, ``3 s``).
    """

    metric: str
    max: float | None = None
    min: float | None = None
    when: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        try:
            metric_named(metric)
        except LlemError as error:
            raise ValueError(_one_line(error)) from None
        return metric

    @field_validator("max", "min", mode="before")
    @classmethod
    def _without_unit(cls, value: object, info: ValidationInfo) -> object:
        metric = info.data.get("metric")  # absent when it was refused already
        if not isinstance(value, str) or metric is None:
            return value if metric is not None else None
        try:
            return quantity(value, METRICS[metric.partition(".")[0]].unit)
        except LlemError as error:
            raise ValueError(_one_line(error)) from None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("a budget needs max, min or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is above max ({self.max:g})")
        return self

    @classmethod
    def from_text(cls, text: str) -> Budget:
        """``METRIC<=VALUE`` or ``METRIC>=VALUE``, the value with or without a unit. Raises ``LlemError``."""
        match = _COMPARISON.fullmatch(text)
        if match is None or match[2] not in ("<=", ">="):
            raise LlemError(
                f"{shown(text)} is not a budget", hint="write METRIC<=VALUE or METRIC>=VALUE, such as energy_j<=5"
            )
        name, relation, limit = match.groups()
        value = quantity(limit, metric_named(name).unit)
        return cls(metric=name, max=value) if relation == "<=" else cls(metric=name, min=value)


def _one_line(error: LlemError) -> str:
    return error.message if error.hint is None else f"{error.message} ({error.hint})"
