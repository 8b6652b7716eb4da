"""Public fakes: a backend that answers at once, and a simulated meter's traces, for tests of plugins and of studies.

The backend is found like any other, through an entry point::

    [project.entry-points."pytest_llem.backends"]
    instant = "pytest_llem.testing:InstantBackend"
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from pydantic import JsonValue

from pytest_llem.backends.base import Completion, Marker, ModelFacts, Prompts, Say
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate, staircase
from pytest_llem.errors import BackendError
from pytest_llem.study.config import ExperimentConfig

__all__ = ["InstantBackend", "InstantEngine", "SimulatedMeter", "pulse", "simulate", "staircase"]

VOCABULARY = 1000


class InstantBackend:
    """Needs no library and no model. Options (the study's section ``instant``):

    ``seconds``: how long one pass takes (default 0). ``engine``: engines with equal values are shared. ``behaviour``:
    ``fail`` raises a BackendError, ``kill`` kills the worker, ``hang`` never answers, ``chatty`` floods stdout,
    ``chatty_kill`` does so and kills the worker, ``crash_on_close`` aborts after the result is out; default: answers.
    """

    name = "instant"

    def check(self, config: ExperimentConfig) -> None:
        unknown = set(config.options) - {"seconds", "engine", "behaviour"}
        if unknown:
            raise BackendError(f"instant: unknown option {min(unknown)!r}")

    def engine_key(self, config: ExperimentConfig) -> str:
        return str(config.options.get("engine", ""))

    def tokenize(self, config: ExperimentConfig, texts: Sequence[str]) -> list[list[int]]:
        return [[byte % VOCABULARY for byte in text.encode()] for text in texts]

    def vocabulary(self, config: ExperimentConfig) -> int:
        return VOCABULARY

    def load(self, config: ExperimentConfig, say: Say) -> InstantEngine:
        return InstantEngine()


class InstantEngine:
    """Answers each prompt with numbers that follow from the prompt and the seed."""

    peak_memory_how = "the instant backend holds nothing"
    facts = ModelFacts(
        name="instant",
        random_weights=True,
        dtype="none",
        device="cpu",
        device_uuids=(),
        parameters=None,
        active_parameters=None,
        weight_bytes=None,
        kv_bytes_per_token=None,
        versions={"instant": "1"},
    )

    def __init__(self) -> None:
        self._behaviour: JsonValue = None

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        self._behaviour = config.options.get("behaviour")
        _behave(self._behaviour)
        start = time.monotonic()
        first = time.monotonic()
        marker("prefill", sum(len(prompt) for prompt in prompts))
        seconds = config.options.get("seconds", 0)
        if isinstance(seconds, int | float):
            time.sleep(seconds)
        n = config.max_output_tokens
        ids = [tuple((sum(prompt) + config.seed + i) % VOCABULARY for i in range(n)) for prompt in prompts]
        end = time.monotonic()
        marker("decode", n * len(prompts))
        return [Completion(token_ids=answer, start=start, end=end, first_token=first) for answer in ids]

    def synchronize(self) -> None:
        """Nothing is ever pending."""

    def peak_memory_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        if self._behaviour == "crash_on_close":
            os.abort()


def _behave(behaviour: JsonValue) -> None:
    match behaviour:
        case "fail":
            raise BackendError("the instant backend was told to fail", hint="take the option away")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "chatty":
            _talk()
        case "chatty_kill":
            _talk()
            os.kill(os.getpid(), signal.SIGKILL)


def _talk() -> None:
    sys.stdout.write("blah " * 400_000 + "\nthe end of much talk\n")
    sys.stdout.flush()
