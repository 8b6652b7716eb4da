"""What a worker hands back: when everything happened and how much work it was, but nothing about energy.

Written as one JSON file in the exchange folder. Times are CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pytest_llem.backends.base import ModelFacts
from pytest_llem.runners.messages import PROTOCOL_VERSION


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Span(_Record):
    """A stretch of time."""

    start: float
    end: float


class WarmupReport(_Record):
    """Passes before the first window. ``cv`` is the coefficient of variation of the last three; None for fewer."""

    n: int
    converged: bool
    cv: float | None
    durations_s: tuple[float, ...]


class WorkerWindow(_Record):
    """One repeat: ``passes`` passes through the whole workload, the device idle at both ends.

    ``marks`` are (label, units, end). Latency lists hold one entry for each answer, ``itl_s`` one for each gap between
    two tokens; they are empty where the backend could not tell. tpot = (e2el - ttft) / (output tokens - 1).
    """

    start: float
    end: float
    passes: int
    marks: tuple[tuple[str, float, float], ...]
    requests: int
    input_tokens: int
    output_tokens: int
    ttft_s: tuple[float, ...]
    e2el_s: tuple[float, ...]
    tpot_s: tuple[float, ...]
    itl_s: tuple[float, ...]


class PromptReport(_Record):
    """The prompts of one pass. ``cut``: how many were longer than ``input_tokens``."""

    n: int
    cut: int
    hash: str


class PeakMemory(_Record):
    """Largest memory in use from the start of loading to the end of the last window, and how it was read."""

    bytes: int | None
    how: str


class WorkerResult(_Record):
    """All that one experiment's worker has to say. ``output_hash``: sha256 over all token ids of one pass."""

    protocol: int = PROTOCOL_VERSION
    facts: ModelFacts
    versions: dict[str, str]
    load: Span
    engine_reused: bool
    warmup: WarmupReport
    windows: tuple[WorkerWindow, ...]
    output_hash: str
    prompts: PromptReport
    peak_memory: PeakMemory
    notes: tuple[str, ...] = ()
