"""A real vLLM with the engine in processes of its own: loaded once, used for all, killed in the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.backends.vllm import VllmBackend
from pytest_llem.backends.vllm.engine import LoadedVllm
from pytest_llem.errors import BackendError
from tests.backends.vllm_case import ENGINE, PROMPTS, experiment, require_vllm, run, sampling

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    require_vllm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
        patch.setenv("TORCHDYNAMO_DISABLE", "1")
        yield


@pytest.fixture(scope="module")
def engine(environment: None) -> Iterator[LoadedVllm]:
    backend = VllmBackend()
    backend.check(experiment())
    loaded = backend.load(experiment(), lambda text: None)
    assert isinstance(loaded, LoadedVllm)
    yield loaded
    loaded.close()


def test_what_was_loaded_is_known(engine: LoadedVllm) -> None:
    facts = engine.facts
    assert facts.parameters == facts.active_parameters == 3967744
    assert facts.weight_bytes == 4 * 3967744
    assert facts.kv_bytes_per_token == 5 * 2 * 4 * 32 * 4  # layers, keys and values, heads, their width, float32
    assert (facts.dtype, facts.device, facts.device_uuids, facts.random_weights) == ("float32", "cpu", (), True)
    assert {"vllm", "torch", "transformers"} <= set(facts.versions)


def test_every_token_is_counted_and_timed(engine: LoadedVllm) -> None:
    before = time.monotonic()
    answers, marks = run(engine, experiment())
    after = time.monotonic()
    assert [len(answer.token_ids) for answer in answers] == [24] * len(PROMPTS)
    for answer in answers:
        assert answer.first_token is not None
        assert answer.token_times is not None
        assert len(answer.token_times) == 24
        assert all(one <= other for one, other in pairwise(answer.token_times))
        assert answer.token_times[0] == answer.first_token
        assert before < answer.start < answer.first_token < answer.end == answer.token_times[-1] < after
    labels = [label for label, _ in marks]
    assert labels in (["prefill", "decode"], ["generate"])
    assert sum(units for label, units in marks if label != "prefill") <= 24 * len(PROMPTS)


def test_greedy_answers_are_those_of_pytorch(engine: LoadedVllm) -> None:
    config = experiment(backend="pytorch", vllm=None, pytorch={"batch_size": 1})
    pytorch = PytorchBackend().load(config, lambda text: None)
    expected = pytorch.generate(PROMPTS, config, lambda label, units: None)
    pytorch.close()
    answers, _ = run(engine, experiment())
    assert [answer.token_ids for answer in answers] == [answer.token_ids for answer in expected]


def test_the_next_experiment_uses_the_same_engine(engine: LoadedVllm) -> None:
    backend = VllmBackend()
    longer, free = experiment(max_output_tokens=40), sampling(temperature=1.0, n=2, seed=3)
    assert {backend.engine_key(config) for config in (longer, free)} == {backend.engine_key(experiment())}
    answers, _ = run(engine, longer)
    assert [len(answer.token_ids) for answer in answers] == [40] * len(PROMPTS)
    first, _ = run(engine, experiment())
    assert [answer.token_ids[:24] for answer in answers] == [answer.token_ids for answer in first]
    answers, _ = run(engine, free)
    assert [len(answer.token_ids) for answer in answers] == [24] * 2 * len(PROMPTS)
    assert answers[0].token_ids != answers[1].token_ids
    again, _ = run(engine, free)
    assert [answer.token_ids for answer in again] == [answer.token_ids for answer in answers]


def test_an_answer_ends_with_its_end_token(engine: LoadedVllm) -> None:
    """The third token of the first answer is made an end token."""
    greedy, _ = run(engine, experiment())
    end = greedy[0].token_ids[2]
    answers, _ = run(engine, sampling(stop_token_ids=[end]))
    first = answers[0].token_ids
    assert first == greedy[0].token_ids[: greedy[0].token_ids.index(end) + 1]
    for answer, full in zip(answers, greedy, strict=True):
        stop = full.token_ids.index(end) + 1 if end in full.token_ids else 24
        assert answer.token_ids == full.token_ids[:stop]


def test_a_pass_is_not_spared_its_prefill_by_the_one_before(engine: LoadedVllm) -> None:
    """vLLM's cache of prompts is on by default: a prompt of 32 tokens would leave it with two blocks to reuse."""
    long = [list(range(100, 132))]
    llm = engine._llm.llm_engine
    assert llm.vllm_config.cache_config.enable_prefix_caching
    cached: list[int | None] = []
    step = llm.step

    def listening() -> list[object]:
        outputs: list[object] = step()
        cached.extend(getattr(output, "num_cached_tokens", None) for output in outputs)
        return outputs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llm, "step", listening)
        for _ in range(2):
            engine.generate(long, experiment(max_output_tokens=1), lambda label, units: None)
    assert cached == [0, 0]


def test_a_prompt_that_does_not_fit_is_refused(engine: LoadedVllm) -> None:
    with pytest.raises(BackendError, match="longer than the maximum model length of 512"):
        run(engine, experiment(dataset={"source": "prompts.jsonl"}, max_output_tokens=500))


def test_a_request_that_vllm_refuses_harms_nothing(engine: LoadedVllm) -> None:
    with pytest.raises(BackendError, match=r"unexpected|Unexpected"):
        run(engine, sampling(extra={"no_such_field": 1}))
    answers, _ = run(engine, experiment())
    assert len(answers) == len(PROMPTS)


def test_its_processes_and_their_memory_are_known(engine: LoadedVllm) -> None:
    pids = engine.pids()
    assert pids
    assert os.getpid() not in pids
    peak = engine.peak_memory_bytes()
    assert peak is not None
    assert peak > (engine.facts.weight_bytes or 0)


def test_a_killed_engine_is_one_clear_error_and_leaves_nothing(engine: LoadedVllm) -> None:
    """Last of this module: it ends the engine that the others used."""
    pids = engine.pids()
    core = min(pids)
    os.kill(core, signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(BackendError, match=rf"the engine's process {core} was ended by SIGKILL"):
        run(engine, experiment())
    engine.close()
    assert time.monotonic() - begin < 20
    assert engine.pids() == ()
    assert not any(_runs(pid) for pid in pids)


def test_a_cache_that_is_too_small_is_told_in_vllms_words() -> None:
    config = experiment(vllm={"engine": ENGINE | {"max_model_len": 4096, "kv_cache_memory_bytes": 2**20}})
    before = set(_children())
    with pytest.raises(BackendError, match=r"vLLM cannot load tiny: ValueError: .*KV cache") as caught:
        VllmBackend().load(config, lambda text: None)
    assert "max_model_len" in (caught.value.hint or "")
    assert set(_children()) <= before


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"extra": {"no_such_field": 1}}, "no_such_field"),
        ({"quantization": "no_such_method"}, "no_such_method"),
        ({"max_model_len": 10**6}, "max_model_len"),
    ],
)
def test_what_vllm_refuses_is_told_before_anything_is_loaded(engine: dict[str, object], words: str) -> None:
    begin = time.monotonic()
    with pytest.raises(BackendError, match=words):
        VllmBackend().load(experiment(vllm={"engine": engine}), lambda text: None)
    assert time.monotonic() - begin < 20


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _children() -> tuple[int, ...]:
    from pytest_llem.backends.vllm.processes import descendants

    return descendants(os.getpid())
