"""The keys of a study file beside the experiment's own: how and where to run it, what multiplies, what is demanded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from pytest_llem.errors import ValueRefused
from pytest_llem.study.budget import Budget
from pytest_llem.study.config import BACKEND_ALIASES
from pytest_llem.study.runner import parse_runner
from pytest_llem.study.strict import Strict
from pytest_llem.study.variants import VariantSpecs
from pytest_llem.study.wording import shown

GRAMMAR = 1
MOST_BUDGETS = 200
_LONGEST, _DIGITS = 80, 8  # of a name; of the hash at the end of one that was cut

Seconds = Annotated[float, Field(ge=0)]
Limit = Annotated[float, Field(gt=0)]

Order = Literal["sequential", "interleaved", "shuffled", "reversed"]


def _share(value: object) -> object:
    """``2%`` is 0.02."""
    if not isinstance(value, str) or not value.endswith("%"):
        return value
    try:
        return float(value.removesuffix("%")) / 100
    except ValueError:
        raise ValueRefused(f"{shown(value)} is not a share", hint="write 2% or 0.02") from None


Share = Annotated[
    float,
    Field(gt=0, lt=1),
    BeforeValidator(_share),
    WithJsonSchema({"type": ["number", "string"], "examples": ["2%"]}),
]


class Execution(Strict):
    """How often, in which order and with which limits the experiments run."""

    cycles: Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] = 1
    max_cycles: Annotated[int, Field(ge=2, le=1000)] = 12
    precision: Share = 0.02
    order: Order = "interleaved"
    experiment_gap_s: Seconds = 0.0
    cycle_gap_s: Seconds = 0.0
    timeout_s: Limit = 600.0
    silence_timeout_s: Limit = 300.0
    study_timeout_s: Limit | None = None
    max_consecutive_failures: Annotated[int, Field(ge=0)] = 10  # 0 never stops
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    skip_preflight: bool = False

    def contradictions(self) -> Iterator[str]:
        said = sorted({"max_cycles", "precision"} & self.model_fields_set)
        if said and self.cycles != "auto":
            yield f"{' and '.join(said)} need cycles: auto"

    @property
    def most_cycles(self) -> int:
        """After how many cycles it ends in any case."""
        return self.max_cycles if self.cycles == "auto" else self.cycles

    @property
    def limit(self) -> int | None:
        """``max_cycles`` where cycles go on until decided."""
        return self.max_cycles if self.cycles == "auto" else None


def _runner(text: str) -> str:
    parse_runner(text)
    return text


RunnerText = Annotated[str, AfterValidator(_runner)]


class Header(Strict):
    """What ``sweep`` and ``experiments`` hold is read where it is used, one entry at a time."""

    llem: int = GRAMMAR
    name: str | None = None
    description: str = ""
    base: str | None = None
    execution: Execution = Execution()
    runner: RunnerText | None = None
    runners: dict[str, RunnerText] = Field(default_factory=dict)
    variants: VariantSpecs = Field(default_factory=dict)
    sweep: dict[str, Any] = Field(default_factory=dict)
    experiments: list[Any] = Field(default_factory=list)
    budgets: Annotated[list[Budget], Field(max_length=MOST_BUDGETS)] = Field(default_factory=list)

    def in_cycles(self) -> Execution:
        """``execution``, with four cycles where variants are to be compared and nothing is said of cycles."""
        said = not self.variants or "cycles" in self.execution.model_fields_set
        return self.execution if said else self.execution.model_copy(update={"cycles": 4})

    @field_validator("llem")
    @classmethod
    def _grammar(cls, version: int) -> int:
        if version != GRAMMAR:
            raise ValueError(f"unknown grammar version {version}; this release reads version {GRAMMAR}")
        return version

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        if name is not None and name != safe_name(name):
            raise ValueRefused(f"{shown(name)} cannot name a folder", hint=f"write {safe_name(name)}")
        return name

    @field_validator("runners")
    @classmethod
    def _without_alias(cls, runners: dict[str, str]) -> dict[str, str]:
        return {BACKEND_ALIASES.get(backend, backend): text for backend, text in runners.items()}


def safe_name(text: str) -> str:
    """``text`` with what is not safe in a file name or in ``-k`` replaced; a long one is cut, and stays its own."""
    name = re.sub(r"[^\w.+-]+", "_", text).strip("._-") or "study"
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - _DIGITS - 1]}-{digest}"
