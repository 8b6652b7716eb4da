"""What one experiment is: the fields of a study file, typed, with their defaults and limits.

Every model is frozen and refuses unknown keys. A field that is ``None`` is left to the library's own default. The names
of a backend's fields are the library's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from pytest_llem.errors import ValueRefused
from pytest_llem.study.pytorch import Dtype, ModelId, PytorchConfig
from pytest_llem.study.strict import Strict
from pytest_llem.study.vllm import VllmConfig
from pytest_llem.study.wording import did_you_mean, shown

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

BUILT_IN_BACKENDS = ("pytorch", "vllm")
BACKEND_ALIASES = {"transformers": "pytorch"}
BUILT_IN_DATASETS = ("synthetic", "aienergyscore")
DATASET_SUFFIXES = (".jsonl", ".csv")


class ModelSpec(Strict):
    """Which model: ``tiny`` and ``shape:NAME`` are built in (random weights), else a hub id or a folder."""

    id: ModelId
    revision: str | None = None
    dtype: Dtype | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None


class DatasetSpec(Strict):
    """Which prompts: ``synthetic`` (``input_tokens`` tokens at most), ``aienergyscore``, or a JSONL or CSV file."""

    source: Text = "synthetic"
    n: Positive = 8
    input_tokens: Positive = 64
    lengths: Literal["fixed", "uniform", "log-normal"] = "fixed"
    order: Literal["as_given", "shuffled", "by_length"] = "as_given"
    column: str | None = None
    seed: Seed | None = None
    chat_template: bool = False

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source in BUILT_IN_DATASETS or source.endswith(DATASET_SUFFIXES):
            return source
        otherwise = "write synthetic, aienergyscore, FILE.jsonl or FILE.csv"
        hint = did_you_mean(source, BUILT_IN_DATASETS, otherwise=otherwise)
        raise ValueRefused(f"{shown(source)} is not a dataset", hint=hint)

    def contradictions(self) -> Iterator[str]:
        if self.lengths != "fixed" and self.source != "synthetic":
            yield f"lengths: {self.lengths} is for synthetic prompts; those of {self.source} have their own"


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
    backend: Text = "pytorch"
    dataset: DatasetSpec = DatasetSpec()
    max_output_tokens: Positive = 32
    seed: Seed = 42
    pytorch: PytorchConfig | None = None
    vllm: VllmConfig | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)  # the section of a third party's backend
    measure: MeasureSpec = MeasureSpec()

    @field_validator("backend")
    @classmethod
    def _without_alias(cls, backend: str) -> str:
        return BACKEND_ALIASES.get(backend, backend)

    def contradictions(self) -> Iterator[str]:
        for name in BUILT_IN_BACKENDS:
            if name != self.backend and getattr(self, name) is not None:
                yield f"the section {name} belongs to another backend than {self.backend}"
        for name, (value, path) in said_by_section(self).items():
            own = getattr(self.model, name)
            if own not in (None, False, value):
                yield f"model.{name} is {shown(own)} and {path} is {shown(value)}; say it once"
        limit = self.vllm.engine.max_model_len if self.vllm is not None else None
        given, made = self.dataset.input_tokens, self.max_output_tokens
        if limit is not None and self.dataset.source == "synthetic" and given + made > limit:
            yield f"{given} input and {made} output tokens do not fit into vllm.engine.max_model_len ({limit})"


def said_by_section(config: ExperimentConfig) -> dict[str, tuple[str | bool, str]]:
    """Fields of ``model`` that the backend's section sets too: the value there, and its path."""
    said: dict[str, tuple[str | bool, str]] = {}
    if config.pytorch is not None:
        for name in ("dtype", "revision", "trust_remote_code"):
            if value := getattr(config.pytorch, name):
                said[name] = (value, f"pytorch.{name}")
    if config.vllm is not None and (dtype := config.vllm.engine.dtype):
        said["dtype"] = ({"half": "float16", "float": "float32"}.get(dtype, dtype), "vllm.engine.dtype")
    return said
