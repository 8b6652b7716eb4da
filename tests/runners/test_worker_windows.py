"""Warm-up and windows, with an engine that takes known times and makes known tokens."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from pytest_llem.backends.base import Completion, Engine, Marker, ModelFacts, Prompts
from pytest_llem.runners.worker_windows import (
    WARMUP_PASSES,
    collector_at_rest,
    output_hash,
    run_window,
    settled,
    variation,
    warm_up,
)
from pytest_llem.study.config import ExperimentConfig

FACTS = ModelFacts("fake", True, "float32", "cpu", (), None, None, None, None)


@dataclass
class Metronome:
    """Each pass lasts as long as ``pass_s`` says (the last entry for all further ones)."""

    pass_s: Sequence[float] = (0.002,)
    outputs: Sequence[int] = (7,)  # the token of each pass; the last for all further ones
    facts: ModelFacts = FACTS
    peak_memory_how: str = "not at all"
    calls: list[str] = field(default_factory=list)
    collecting: list[bool] = field(default_factory=list)

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        number = self.calls.count("generate")
        self.calls.append("generate")
        self.collecting.append(gc.isenabled())
        start = time.monotonic()
        marker("prefill", sum(map(len, prompts)))
        time.sleep(self.pass_s[min(number, len(self.pass_s) - 1)])
        marker("decode", 2 * len(prompts))
        token = self.outputs[min(number, len(self.outputs) - 1)]
        times = (start + 0.1, start + 0.3, start + 0.4)
        return [Completion((token, 1, 2), start, start + 0.5, times[0], times) for _ in prompts]

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def peak_memory_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        self.calls.append("close")


def work(engine: Metronome, **measure: object) -> tuple[Engine, Prompts, ExperimentConfig]:
    config = ExperimentConfig.model_validate({"model": {"id": "tiny"}, "measure": measure})
    return engine, [[1, 2, 3], [4, 5]], config


def told(done: int, most: int, seconds: float) -> None:
    """Progress that nobody reads."""


def test_warm_up_ends_when_three_passes_agree() -> None:
    engine = Metronome(pass_s=(0.08, 0.04, 0.02))
    report = warm_up(*work(engine, warmup_cv=0.2), told)
    assert report.converged
    assert report.n == 5
    assert 0.08 + 0.04 + 3 * 0.02 < report.seconds < 1
    assert report.cv is not None
    assert report.cv <= 0.2
    assert engine.calls == ["generate", "synchronize"] * 5


def test_warm_up_that_never_settles_is_recorded_as_such() -> None:
    report = warm_up(*work(Metronome(pass_s=[0.001, 0.02] * 20), warmup_cv=0.01), told)
    assert (report.n, report.converged) == (WARMUP_PASSES, False)


def test_warm_up_stops_at_its_time_limit() -> None:
    report = warm_up(*work(Metronome(pass_s=(0.05, 0.01)), warmup_limit_s=0.04), told)
    assert (report.n, report.converged, report.cv) == (1, False, None)


@pytest.mark.parametrize("passes", [0, 1, 4])
def test_a_fixed_number_of_warm_up_passes(passes: int) -> None:
    progress: list[tuple[int, int]] = []
    report = warm_up(*work(Metronome(), warmup=passes), lambda done, most, seconds: progress.append((done, most)))
    assert report.n == passes
    assert progress == [(done, passes) for done in range(1, passes + 1)]


def test_variation_is_of_the_last_three() -> None:
    assert variation([1.0, 1.0]) is None
    assert variation([9.0, 1.0, 1.0, 1.0]) == 0
    assert variation([1.0, 2.0, 3.0]) == pytest.approx(0.5)
    assert not settled([1.0], 0.05)
    assert settled([1.0, 1.0, 1.01], 0.05)


def test_a_window_holds_whole_passes_and_counts_their_work() -> None:
    engine = Metronome(pass_s=(0.01,))
    window, hashes = run_window(*work(engine, min_window_s=0.055))
    assert 2 <= window.passes <= 6
    assert window.end - window.start >= 0.055
    assert (window.requests, window.input_tokens, window.output_tokens) == (
        2 * window.passes,
        5 * window.passes,
        6 * window.passes,
    )
    assert [(label, units) for label, units, _ in window.marks] == [("prefill", 5), ("decode", 4)] * window.passes
    ends = [window.start, *(end for _, _, end in window.marks), window.end]
    assert ends == sorted(ends)
    assert engine.calls[0] == engine.calls[-1] == "synchronize"
    assert len(hashes) == 1


def test_latencies_of_every_answer() -> None:
    window, _ = run_window(*work(Metronome(), min_window_s=0.001))
    answers = window.requests
    assert window.ttft_s == pytest.approx([0.1] * answers)
    assert window.e2el_s == pytest.approx([0.5] * answers)
    assert window.tpot_s == pytest.approx([0.2] * answers)  # (0.5 - 0.1) / 2
    assert window.itl_s == pytest.approx([0.2, 0.1] * answers)


def test_a_window_shorter_than_a_pass_holds_one() -> None:
    window, _ = run_window(*work(Metronome(pass_s=(0.02,)), min_window_s=0.001))
    assert window.passes == 1


def test_no_garbage_is_collected_in_a_window() -> None:
    engine = Metronome()
    with collector_at_rest():
        run_window(*work(engine, min_window_s=0.01))
    assert not any(engine.collecting)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_passes_that_differ_are_seen() -> None:
    _, hashes = run_window(*work(Metronome(outputs=(7, 8)), min_window_s=0.01))
    assert len(hashes) == 2


def test_the_output_s_hash_depends_on_ids_and_where_answers_end() -> None:
    def answers(*ids: tuple[int, ...]) -> list[Completion]:
        return [Completion(each, 0.0, 1.0) for each in ids]

    variants = [answers((1, 2), (3,)), answers((1,), (2, 3)), answers((3,), (1, 2)), answers((1, 2, 3))]
    assert len({output_hash(variant) for variant in variants}) == 4
    assert output_hash(variants[0]) == output_hash(answers((1, 2), (3,)))
