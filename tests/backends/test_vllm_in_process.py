"""A real vLLM whose engine runs in this process (``VLLM_ENABLE_V1_MULTIPROCESSING=0``): same answers, a clean end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.backends.vllm import VllmBackend
from pytest_llem.backends.vllm.engine import LoadedVllm
from pytest_llem.study.config import ExperimentConfig
from tests.backends.vllm_case import ENGINE, PROMPTS, experiment, require_vllm, run, sampling

pytestmark = [pytest.mark.vllm, pytest.mark.slow]
BEAMS = 2


def beams() -> ExperimentConfig:
    return experiment(vllm={"engine": ENGINE, "beam_search": {"beam_width": BEAMS}}, max_output_tokens=8)


@pytest.fixture(scope="module")
def engine() -> Iterator[LoadedVllm]:
    """Loaded for beam search, and so with a tokenizer."""
    require_vllm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setenv("TORCHDYNAMO_DISABLE", "1")
        loaded = VllmBackend().load(beams(), lambda text: None)
        assert isinstance(loaded, LoadedVllm)
        yield loaded
        loaded.close()
        assert loaded.pids() == ()


def pytorch(config: ExperimentConfig) -> list[tuple[int, ...]]:
    engine = PytorchBackend().load(config, lambda text: None)
    answers = engine.generate(PROMPTS, config, lambda label, units: None)
    engine.close()
    return [answer.token_ids for answer in answers]


def test_it_has_no_processes(engine: LoadedVllm) -> None:
    assert engine.pids() == ()
    assert engine.peak_memory_bytes()


def test_greedy_answers_are_those_of_pytorch(engine: LoadedVllm) -> None:
    answers, _ = run(engine, experiment())
    assert [answer.token_ids for answer in answers] == pytorch(experiment(backend="pytorch", vllm=None, pytorch={}))


def test_the_best_beam_is_that_of_pytorch(engine: LoadedVllm) -> None:
    answers, marks = run(engine, beams())
    config = experiment(backend="pytorch", vllm=None, pytorch={"num_beams": BEAMS}, max_output_tokens=8)
    assert [answer.token_ids for answer in answers] == pytorch(config)
    assert marks == [("generate", 8 * len(PROMPTS))]
    assert all(answer.first_token is None for answer in answers)


def test_a_stop_word_ends_an_answer(engine: LoadedVllm) -> None:
    from transformers import AutoTokenizer

    from pytest_llem.backends.models import model_source

    greedy, _ = run(engine, experiment())
    tokenizer = AutoTokenizer.from_pretrained(model_source("tiny"))
    word = tokenizer.decode(greedy[0].token_ids[:3])
    answers, _ = run(engine, sampling(stop=[word]))
    assert answers[0].token_ids == greedy[0].token_ids[:3]


def test_following_the_steps_takes_no_longer_than_plain_generate(engine: LoadedVllm) -> None:
    """Least of several passes each, in turns; on two busy cores a step of the tiny model takes 2 ms more or less."""
    from vllm import SamplingParams

    config = experiment(max_output_tokens=64)
    plain, followed = [], []
    for _ in range(5):
        start = time.perf_counter()
        params = SamplingParams(temperature=0.0, max_tokens=64, ignore_eos=True, detokenize=False)
        engine._llm.generate([{"prompt_token_ids": prompt} for prompt in PROMPTS], params, use_tqdm=False)
        plain.append(time.perf_counter() - start)
        start = time.perf_counter()
        run(engine, config)
        followed.append(time.perf_counter() - start)
    print(f"64 tokens of {len(PROMPTS)} requests: plain {min(plain):.4f} s, followed {min(followed):.4f} s")
    assert min(followed) < 1.25 * min(plain)
