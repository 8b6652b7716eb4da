"""Warm-up and measured windows of one experiment: passes through the workload, timed and counted."""

from __future__ import annotations

import gc
import hashlib
import statistics
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from pytest_llem.backends.base import Completion, Engine, Prompts
from pytest_llem.results.model import Warmup
from pytest_llem.runners.job import WorkerWindow
from pytest_llem.study.config import ExperimentConfig

WARMUP_PASSES = 20  # most passes of an automatic warm-up
_SETTLED_OVER = 3  # passes that the coefficient of variation is taken over


def warm_up(
    engine: Engine, prompts: Prompts, config: ExperimentConfig, progress: Callable[[int, int, float], None]
) -> Warmup:
    """Run passes until their durations settle, or as many as asked for; ``progress(done, most, seconds so far)``."""
    measure = config.measure
    most = WARMUP_PASSES if measure.warmup == "auto" else measure.warmup
    limit_s = measure.warmup_limit_s if measure.warmup == "auto" else float("inf")
    began = time.monotonic()
    durations: list[float] = []
    while len(durations) < most:
        start = time.monotonic()
        engine.generate(prompts, config, lambda label, units: None)
        engine.synchronize()
        end = time.monotonic()
        durations.append(end - start)
        progress(len(durations), most, end - began)
        if end - began >= limit_s or (measure.warmup == "auto" and settled(durations, measure.warmup_cv)):
            break
    converged = settled(durations, measure.warmup_cv)
    return Warmup(n=len(durations), converged=converged, cv=variation(durations), seconds=sum(durations))


def variation(durations: Sequence[float]) -> float | None:
    """Coefficient of variation (sample standard deviation over mean) of the last three; None for fewer."""
    last = durations[-_SETTLED_OVER:]
    return statistics.stdev(last) / statistics.fmean(last) if len(last) == _SETTLED_OVER else None


def settled(durations: Sequence[float], limit: float) -> bool:
    """Whether the last three durations vary by no more than ``limit``."""
    cv = variation(durations)
    return cv is not None and cv <= limit


def run_window(engine: Engine, prompts: Prompts, config: ExperimentConfig) -> tuple[WorkerWindow, set[str]]:
    """Whole passes until ``min_window_s`` is reached; also the hashes of the passes' outputs (one, if all agree)."""
    marks: list[tuple[str, float, float]] = []

    def mark(label: str, units: float) -> None:
        marks.append((label, units, time.monotonic()))

    passes: list[list[Completion]] = []
    engine.synchronize()
    start = time.monotonic()
    while not passes or time.monotonic() - start < config.measure.min_window_s:
        passes.append(engine.generate(prompts, config, mark))
    engine.synchronize()
    end = time.monotonic()
    answers = [completion for answered in passes for completion in answered]
    timed = [(answer, answer.first_token) for answer in answers if answer.first_token is not None]
    window = WorkerWindow(
        start=start,
        end=end,
        passes=len(passes),
        marks=tuple(marks),
        requests=len(passes) * len(prompts),
        input_tokens=len(passes) * sum(map(len, prompts)),
        output_tokens=sum(len(answer.token_ids) for answer in answers),
        ttft_s=tuple(first - answer.start for answer, first in timed),
        e2el_s=tuple(answer.end - answer.start for answer in answers),
        tpot_s=tuple((a.end - first) / (len(a.token_ids) - 1) for a, first in timed if len(a.token_ids) > 1),
        itl_s=tuple(later - earlier for a in answers for earlier, later in pairwise(a.token_times or ())),
    )
    return window, {output_hash(answered) for answered in passes}


def output_hash(answers: Sequence[Completion]) -> str:
    """sha256 over one pass's generated ids, in order, 8 bytes each, a -1 after each answer."""
    digest = hashlib.sha256()
    for answer in answers:
        digest.update(array("q", [*answer.token_ids, -1]).tobytes())
    return digest.hexdigest()


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No garbage collection in between: its pauses would be measured as if they were the workload's.

    The one before walks through all of torch and vLLM, for up to half a second: no window may wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
