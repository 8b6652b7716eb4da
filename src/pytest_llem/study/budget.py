"""A limit on a figure of a result, as written in a study file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Budget(BaseModel):
    """``min <= metric <= max``; ``when`` selects cells by dotted path. Limits may carry a unit (``2 GiB``, ``5 kJ``)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    max: float | None = None
    min: float | None = None
    when: dict[str, JsonValue] = Field(default_factory=dict)
