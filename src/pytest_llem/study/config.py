"""What one experiment is: the fields of a study file, typed, with their defaults and limits.

Every model is frozen and refuses unknown keys. A field that is ``None`` is left to the library's own default. The names
of a backend's fields are the library's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pytest_llem.study.pytorch import PytorchConfig
from pytest_llem.study.vllm import VllmConfig

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """Frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class ModelSpec(Strict):
    """Which model: ``tiny`` and ``shape:NAME`` are built in (random weights), else a hub id or a folder."""

    id: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    dtype: str | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None


class DatasetSpec(Strict):
    """Which prompts: ``synthetic`` (exactly ``input_tokens`` tokens each), ``aienergyscore``, or a JSONL or CSV file."""

    source: Annotated[str, Field(min_length=1)] = "synthetic"
    n: Positive = 8
    input_tokens: Positive = 64
    order: Literal["as_given", "shuffled", "by_length"] = "as_given"
    column: str | None = None
    seed: int | None = None
    chat_template: bool = False


class MeasureSpec(Strict):
    """How an experiment is measured. ``warmup`` is ``auto`` (until it settles) or a fixed number of passes."""

    warmup: Literal["auto"] | Annotated[int, Field(ge=0, le=1000)] = "auto"
    warmup_cv: Annotated[float, Field(gt=0, le=1)] = 0.05
    warmup_limit_s: Seconds = 60.0
    repeats: Annotated[int, Field(ge=1, le=1000)] = 3
    min_window_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    bracket_s: Annotated[float, Field(gt=0, le=60)] | None = None
    thermal_wait_s: Seconds = 0.0
    token_times: bool = False


class ExperimentConfig(Strict):
    """All that is measured in one experiment, and nothing about where: its hash is the experiment's identity."""

    model: ModelSpec
    backend: Annotated[str, Field(min_length=1)] = "pytorch"
    dataset: DatasetSpec = DatasetSpec()
    max_output_tokens: Positive = 32
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    pytorch: PytorchConfig | None = None
    vllm: VllmConfig | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)  # the section of a third party's backend
    measure: MeasureSpec = MeasureSpec()
