"""The PyTorch backend on real models on the CPU: what it generates, counts, marks and times."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_llem.backends.base import Completion, Engine
from pytest_llem.backends.models import model_folder
from pytest_llem.backends.pytorch import PytorchBackend, PytorchEngine
from pytest_llem.errors import BackendError, MissingDependency

from .conftest import experiment, quiet, run
from .counting_model import END, write_counting_model

PROMPTS = [[300, 301, 302], list(range(400, 420)), [500] * 7, [700, 3], [20, 900, 35, 36, 37]]


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("counting")
    write_counting_model(folder)
    engine = PytorchBackend().load(experiment(model={"id": str(folder)}), quiet)
    yield engine
    engine.close()


def test_a_batch_of_four_with_69_real_tokens_counts_69(counting: Engine) -> None:
    """Each answer ends at another place; the batch goes on for the longest, and its padding is no output."""
    prompts = [[40, 5], [7, 7, 12], [9, 20], [1, 2, 3, 32]]
    answers, marks = run(counting, prompts, max_output_tokens=40, pytorch={"batch_size": 4, "ignore_eos": False})
    assert [len(answer.token_ids) for answer in answers] == [5, 12, 20, 32]
    assert sum(len(answer.token_ids) for answer in answers) == 69
    assert all(answer.token_ids[-1] == END for answer in answers)
    assert answers[0].token_ids == (4, 3, 2, 1, 0)
    assert marks == [("prefill", 11), ("decode", 69 - 4)]


def test_with_ignore_eos_every_answer_has_the_full_length(counting: Engine) -> None:
    answers, _ = run(counting, [[5], [12]], max_output_tokens=20, pytorch={"batch_size": 2})
    assert [len(answer.token_ids) for answer in answers] == [20, 20]
    assert END in answers[0].token_ids[:-1]  # it was generated and did not stop anything, nor was it forbidden


def test_the_output_limit_cuts_an_answer_that_has_not_ended(counting: Engine) -> None:
    answers, _ = run(counting, [[30]], max_output_tokens=10, pytorch={"ignore_eos": False})
    assert answers[0].token_ids == tuple(range(29, 19, -1))


def test_an_end_token_of_the_user_s_own_is_honoured(counting: Engine) -> None:
    options = {"ignore_eos": False, "extra": {"eos_token_id": 7}}
    answers, _ = run(counting, [[10]], max_output_tokens=10, pytorch=options)
    assert answers[0].token_ids == (9, 8, 7)


def test_padding_on_the_left_changes_no_answer(tiny: Engine) -> None:
    alone, _ = run(tiny, PROMPTS, max_output_tokens=24, pytorch={"batch_size": 1})
    together, _ = run(tiny, PROMPTS, max_output_tokens=24, pytorch={"batch_size": 5})
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
    assert len({answer.token_ids for answer in alone}) == len(PROMPTS)  # or the comparison would show nothing


def test_every_batch_is_marked_with_its_own_units(tiny: Engine) -> None:
    _, marks = run(tiny, PROMPTS, max_output_tokens=8, pytorch={"batch_size": 2})
    assert marks == [
        *[("prefill", 23), ("decode", 14)],
        *[("prefill", 9), ("decode", 14)],
        *[("prefill", 5), ("decode", 7)],
    ]


def test_a_single_output_token_is_all_prefill(tiny: Engine) -> None:
    answers, marks = run(tiny, PROMPTS, max_output_tokens=1, pytorch={"batch_size": 5})
    assert marks == [("prefill", 37)]
    assert all(answer.first_token is not None for answer in answers)


def test_times_lie_in_order_within_the_call(tiny: Engine) -> None:
    before = time.monotonic()
    answers, _ = run(tiny, PROMPTS, max_output_tokens=16, measure={"token_times": True}, pytorch={"batch_size": 5})
    after = time.monotonic()
    for answer in answers:
        assert answer.token_times is not None
        assert len(answer.token_times) == len(answer.token_ids)
        assert answer.token_times[0] == answer.first_token
        moments = [before, answer.start, *answer.token_times, answer.end, after]
        assert moments == sorted(moments)
        assert len(set(answer.token_times)) == 16


def test_token_times_end_where_the_answer_ends(counting: Engine) -> None:
    options = {"batch_size": 2, "ignore_eos": False}
    answers, _ = run(counting, [[3], [9]], pytorch=options, measure={"token_times": True})
    assert [len(answer.token_times or ()) for answer in answers] == [3, 9]


def test_without_token_times_only_the_first_is_told(tiny: Engine) -> None:
    (answer,), _ = run(tiny, [[5, 6]])
    assert answer.token_times is None
    assert answer.first_token is not None
    assert answer.start < answer.first_token < answer.end


def test_sampling_does_the_same_work_in_every_pass(tiny: Engine) -> None:
    options = {"do_sample": True, "temperature": 1.5, "batch_size": 3}
    first, second = (run(tiny, PROMPTS, seed=7, pytorch=options)[0] for _ in range(2))
    other, _ = run(tiny, PROMPTS, seed=8, pytorch=options)
    assert [answer.token_ids for answer in first] == [answer.token_ids for answer in second]
    assert [answer.token_ids for answer in first] != [answer.token_ids for answer in other]


def test_beams_find_another_answer_than_greed(tiny: Engine) -> None:
    timed = {"token_times": True}
    greedy, _ = run(tiny, PROMPTS, pytorch={"batch_size": 5})
    beams, marks = run(tiny, PROMPTS, measure=timed, pytorch={"batch_size": 5, "num_beams": 4, "early_stopping": True})
    assert {len(answer.token_ids) for answer in beams} == {32}
    assert [answer.token_ids for answer in beams] != [answer.token_ids for answer in greedy]
    assert [label for label, _ in marks] == ["prefill", "decode"]
    assert all(len(answer.token_times or ()) == 32 for answer in beams)


def test_several_answers_to_one_prompt_come_one_after_the_other(tiny: Engine) -> None:
    options = {"do_sample": True, "num_return_sequences": 3, "batch_size": 2, "temperature": 2.0}
    answers, marks = run(tiny, PROMPTS[:2], max_output_tokens=8, pytorch=options)
    assert len(answers) == 6
    assert len({answer.token_ids for answer in answers}) == 6
    assert marks == [("prefill", 23), ("decode", 6 * 7)]


def test_prompt_lookup_gives_the_greedy_answer(tiny: Engine) -> None:
    greedy, _ = run(tiny, PROMPTS)
    timed = {"token_times": True}
    drafted, marks = run(tiny, PROMPTS, measure=timed, pytorch={"prompt_lookup_num_tokens": 4})
    assert [answer.token_ids for answer in drafted] == [answer.token_ids for answer in greedy]
    assert all(len(answer.token_times or ()) == 32 for answer in drafted)
    assert marks[:2] == [("prefill", 3), ("decode", 31)]


def step_sizes(answer: Completion) -> list[int]:
    """How many tokens came in each step."""
    return list(Counter(answer.token_times or ()).values())


def test_an_assistant_drafts_and_the_answer_stays(tiny: Engine) -> None:
    config = experiment(pytorch={"assistant_model": "tiny"})
    engine = PytorchBackend().load(config, quiet)
    assert isinstance(engine, PytorchEngine)
    assert engine._assistant is not None
    engine._assistant.generation_config.num_assistant_tokens_schedule = "heuristic"  # learns from call to call
    engine._assistant.generation_config.assistant_confidence_threshold = 0.0
    greedy, _ = run(tiny, PROMPTS)
    timed = {"token_times": True}
    drafted, _ = run(engine, PROMPTS, measure=timed, pytorch={"assistant_model": "tiny"})
    again, _ = run(engine, PROMPTS, measure=timed, pytorch={"assistant_model": "tiny"})
    engine.close()
    assert [answer.token_ids for answer in drafted] == [answer.token_ids for answer in greedy]
    assert [step_sizes(answer) for answer in again] == [step_sizes(answer) for answer in drafted]
    steps = {answer.token_times for answer in drafted}
    assert all(len(set(times or ())) < 32 for times in steps)  # accepted drafts share their step's time
    assert any("drafts by tiny" in note for note in engine.facts.notes)
    assert engine.facts.parameters == tiny.facts.parameters


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_cache_implementations_give_the_same_answer(tiny: Engine, cache: str) -> None:
    plain, _ = run(tiny, PROMPTS, pytorch={"use_cache": False})
    cached, _ = run(tiny, PROMPTS, pytorch={"cache_implementation": cache})
    assert [answer.token_ids for answer in cached] == [answer.token_ids for answer in plain]


@pytest.mark.slow
def test_a_compiled_forward_gives_the_same_answer(tiny: Engine) -> None:
    options = {"torch_compile": {"backend": "eager"}, "attn_implementation": "eager"}
    engine = PytorchBackend().load(experiment(pytorch=options), quiet)
    compiled, _ = run(engine, PROMPTS[:2], max_output_tokens=4, pytorch=options)
    plain, _ = run(tiny, PROMPTS[:2], max_output_tokens=4)
    engine.close()
    assert [answer.token_ids for answer in compiled] == [answer.token_ids for answer in plain]


def test_more_tokens_than_the_model_has_room_for_are_refused(tiny: Engine) -> None:
    with pytest.raises(BackendError, match="room for 4096 tokens, prompt and output need 4100"):
        run(tiny, [[5] * 4000], max_output_tokens=100)


def test_an_unknown_argument_is_refused_in_transformers_own_words(tiny: Engine) -> None:
    with pytest.raises(BackendError, match="no_such_argument"):
        run(tiny, [[5]], pytorch={"extra": {"no_such_argument": 1}})


def test_facts_of_tiny(tiny: Engine) -> None:
    facts = tiny.facts
    assert (facts.name, facts.random_weights, facts.dtype, facts.device) == ("tiny", True, "float32", "cpu")
    assert facts.device_uuids == ()
    assert facts.parameters == facts.active_parameters == 3_967_744
    assert facts.weight_bytes == 4 * 3_967_744
    assert facts.kv_bytes_per_token == 2 * 4 * 32 * 5 * 4
    assert facts.flops_per_token == 2 * (5 * (2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 640) + 256 * 1024)
    assert facts.attention_flops_per_token_pair == 4 * 8 * 32 * 5
    assert {"torch", "transformers"} <= facts.versions.keys()


def test_memory_grows_by_at_least_the_weights(tiny: Engine) -> None:
    assert tiny.facts.weight_bytes is not None
    peak = tiny.peak_memory_bytes()
    assert peak is not None
    assert peak > tiny.facts.weight_bytes / 2  # pages of the mapped file count once they are touched


def test_a_dtype_is_loaded_as_asked() -> None:
    engine = PytorchBackend().load(experiment(pytorch={"dtype": "bfloat16"}), quiet)
    assert engine.facts.dtype == "bfloat16"
    assert engine.facts.weight_bytes == 2 * 3_967_744
    engine.close()


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setattr("pytest_llem.backends.pytorch.find_spec", lambda name: None if name == library else object())
    with pytest.raises(MissingDependency, match=f"{library} is not installed") as caught:
        PytorchBackend().check(experiment())
    assert caught.value.hint == "pip install 'pytest-llem[transformers]'"


def test_missing_bitsandbytes_is_found_before_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pytest_llem.backends.pytorch.find_spec", lambda name: None if name == "bitsandbytes" else object()
    )
    with pytest.raises(BackendError, match="bitsandbytes is not installed"):
        PytorchBackend().check(experiment(pytorch={"quantization": {"load_in_8bit": True}}))


def test_a_model_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=f"{tmp_path} cannot be loaded: "):
        PytorchBackend().load(experiment(model={"id": str(tmp_path)}), quiet)


def test_a_shape_cannot_be_quantised() -> None:
    config = experiment(model={"id": "shape:qwen2.5-0.5b"}, pytorch={"quantization": {"load_in_8bit": True}})
    with pytest.raises(BackendError, match="has no weights to read"):
        PytorchBackend().load(config, quiet)


def test_engines_are_shared_by_what_is_loaded_and_nothing_else() -> None:
    key = PytorchBackend().engine_key
    same = experiment(max_output_tokens=99, seed=1, pytorch={"batch_size": 8, "num_beams": 2, "extra": {"top_h": 0.4}})
    assert key(experiment()) == key(same)
    others = [
        experiment(model={"id": str(model_folder("tiny"))}),
        experiment(pytorch={"dtype": "bfloat16"}),
        experiment(pytorch={"attn_implementation": "eager"}),
        experiment(pytorch={"torch_compile": True}),
        experiment(pytorch={"assistant_model": "tiny"}),
        experiment(pytorch={"extra": {"from_pretrained": {"use_safetensors": True}}}),
    ]
    assert len({key(config) for config in [experiment(), *others]}) == 7
