"""Warm-up and measured windows of one experiment: passes through the workload, timed and counted."""

from __future__ import annotations

import gc
import hashlib
import statistics
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from pytest_llem.backends.base import Completion, Engine, Prompts
from pytest_llem.runners.worker_result import WarmupReport, WorkerWindow
from pytest_llem.study.config import ExperimentConfig

WARMUP_PASSES = 20  # most passes of an automatic warm-up
_SETTLED_OVER = 3  # passes that the coefficient of variation is taken over


@dataclass(frozen=True)
class Workload:
    """What one pass does."""

    engine: Engine
    prompts: Prompts
    config: ExperimentConfig

    def run(self, marker: Callable[[str, float], None]) -> list[Completion]:
        """One pass."""
        return self.engine.generate(self.prompts, self.config, marker)


def warm_up(work: Workload, progress: Callable[[int, int, float], None]) -> WarmupReport:
    """Run passes until their durations settle, or as many as asked for; ``progress(done, most, seconds so far)``."""
    measure = work.config.measure
    automatic = measure.warmup == "auto"
    most = WARMUP_PASSES if measure.warmup == "auto" else measure.warmup
    began = time.monotonic()
    durations: list[float] = []
    while len(durations) < most:
        start = time.monotonic()
        work.run(_unmarked)
        work.engine.synchronize()
        end = time.monotonic()
        durations.append(end - start)
        progress(len(durations), most, end - began)
        if automatic and (settled(durations, measure.warmup_cv) or end - began >= measure.warmup_limit_s):
            break
    return WarmupReport(
        n=len(durations),
        converged=settled(durations, measure.warmup_cv),
        cv=variation(durations),
        durations_s=tuple(durations),
    )


def variation(durations: Sequence[float]) -> float | None:
    """Coefficient of variation (sample standard deviation over mean) of the last three; None for fewer."""
    last = durations[-_SETTLED_OVER:]
    return statistics.stdev(last) / statistics.fmean(last) if len(last) == _SETTLED_OVER else None


def settled(durations: Sequence[float], limit: float) -> bool:
    """Whether the last three durations vary by no more than ``limit``."""
    cv = variation(durations)
    return cv is not None and cv <= limit


def run_window(work: Workload) -> tuple[WorkerWindow, set[str]]:
    """Whole passes until ``min_window_s`` is reached; also the hashes of the passes' outputs (one, if all agree)."""
    marks: list[tuple[str, float, float]] = []

    def mark(label: str, units: float) -> None:
        marks.append((label, units, time.monotonic()))

    passes: list[list[Completion]] = []
    with _collector_at_rest():
        work.engine.synchronize()
        start = time.monotonic()
        while not passes or time.monotonic() - start < work.config.measure.min_window_s:
            passes.append(work.run(mark))
        work.engine.synchronize()
        end = time.monotonic()
    answers = [completion for answered in passes for completion in answered]
    window = WorkerWindow(
        start=start,
        end=end,
        passes=len(passes),
        marks=tuple(marks),
        requests=len(passes) * len(work.prompts),
        input_tokens=len(passes) * sum(len(prompt) for prompt in work.prompts),
        output_tokens=sum(len(answer.token_ids) for answer in answers),
        ttft_s=tuple(answer.first_token - answer.start for answer in answers if answer.first_token is not None),
        e2el_s=tuple(answer.end - answer.start for answer in answers),
        tpot_s=tuple(_times_per_output_token(answers)),
        itl_s=tuple(_inter_token_latencies(answers)),
    )
    return window, {output_hash(answered) for answered in passes}


def output_hash(answers: Sequence[Completion]) -> str:
    """sha256 over one pass's generated ids, in order, 8 bytes each, a -1 after each answer."""
    digest = hashlib.sha256()
    for answer in answers:
        digest.update(array("q", [*answer.token_ids, -1]).tobytes())
    return digest.hexdigest()


def _times_per_output_token(answers: Sequence[Completion]) -> Iterator[float]:
    for answer in answers:
        if answer.first_token is not None and len(answer.token_ids) > 1:
            yield (answer.end - answer.first_token) / (len(answer.token_ids) - 1)


def _inter_token_latencies(answers: Sequence[Completion]) -> Iterator[float]:
    for answer in answers:
        yield from (later - earlier for earlier, later in pairwise(answer.token_times or ()))


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No garbage collection in between: its pauses would be measured as if they were the workload's."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _unmarked(label: str, units: float) -> None:
    """A marker for passes that nobody measures."""
