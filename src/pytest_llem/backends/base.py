"""What a backend is: something that loads a model and answers prompts, saying when each thing happened.

A backend runs inside the worker. It never measures energy. It only reads the clock (``time.monotonic()``, which all
processes and containers of a host share). Third parties register one under the entry point group
``pytest_llem.backends``: NAME = "package.module:factory", where ``factory()`` returns a :class:`Backend`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_llem.study.config import ExperimentConfig

Prompts = Sequence[Sequence[int]]  # token ids, one sequence per request, cut to length already
Marker = Callable[[str, float], None]  # marker(label, units): a part of the window ends now
Say = Callable[[str], None]  # progress for a person to read


@dataclass(frozen=True)
class ModelFacts:
    """What was loaded, as far as energy is concerned. Unknown is None, never 0."""

    name: str
    random_weights: bool
    dtype: str
    device: str  # "cuda:0", "cpu"
    device_uuids: tuple[str, ...]  # GPUs that hold weights; empty on the CPU
    parameters: int | None  # all, exactly counted
    active_parameters: int | None  # used for one token (differs for mixtures of experts)
    weight_bytes: int | None
    kv_bytes_per_token: int | None  # keys and values of one token of one sequence
    flops_per_token: float | None = None  # matrix products of one token's forward pass, attention apart
    attention_flops_per_token_pair: float | None = None  # for each (query, key) pair, summed over layers
    versions: dict[str, str] = field(default_factory=dict)  # library -> version
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """One request's answer. Times are absolute, seconds on CLOCK_MONOTONIC.

    ``token_ids`` holds generated tokens only, up to and including the end token; padding is not output.
    """

    token_ids: tuple[int, ...]
    start: float  # when the request was handed over
    end: float
    first_token: float | None = None
    token_times: tuple[float, ...] | None = None  # one for each token, where asked for


class Engine(Protocol):
    """A loaded model, ready to answer; it may serve several experiments that agree in :meth:`Backend.engine_key`."""

    facts: ModelFacts
    peak_memory_how: str  # how peak_memory_bytes() is read, for a person: "torch.cuda.max_memory_reserved"

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        """Answer all prompts once, batched as ``config`` says; mark ``prefill`` and ``decode`` where they can be told
        apart (units: prompt tokens; generated tokens less each answer's first, which prefill made), else ``generate``
        (units: generated tokens). A request may have several answers: all of the first come first."""
        ...

    def synchronize(self) -> None:
        """Return when the device has finished all that was asked of it."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """Largest memory that the allocator held since loading began; None where the library cannot tell."""
        ...

    def close(self) -> None:
        """Free the device. May be slow or fail: results are out by then."""
        ...


class Backend(Protocol):
    """One inference library."""

    name: str

    def check(self, config: ExperimentConfig) -> None:
        """Raise BackendError (MissingDependency, with its extra) if this machine's libraries cannot run it."""
        ...

    def engine_key(self, config: ExperimentConfig) -> str:
        """Equal keys may share one loaded engine."""
        ...

    def tokenize(self, config: ExperimentConfig, texts: Sequence[str]) -> list[list[int]]:
        """Token ids by the model's own tokenizer; not used for synthetic prompts of built-in shapes."""
        ...

    def vocabulary(self, config: ExperimentConfig) -> int:
        """Number of token ids that prompts may use: 0 to n - 1."""
        ...

    def load(self, config: ExperimentConfig, say: Say) -> Engine:
        """Load the model on the visible device(s); raises BackendError with the library's own reason."""
        ...
