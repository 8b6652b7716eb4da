"""The ``vllm`` section: constraints found while a study is read, fields without effect, and what `extra` may hold."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from pytest_llem.study.vllm import VllmBeamSearch, VllmConfig, VllmEngine, VllmSampling


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_num_batched_tokens": 1024, "max_model_len": 4096, "enable_chunked_prefill": False},
            "max_num_batched_tokens (1024) is smaller than max_model_len (4096)",
        ),
        (
            {"max_num_batched_tokens": 64, "max_num_seqs": 128},
            "max_num_batched_tokens (64) must be greater than or equal to max_num_seqs (128)",
        ),
        (
            {"long_prefill_token_threshold": 600, "max_model_len": 512},
            "long_prefill_token_threshold (600) cannot be greater than the max_model_len (512)",
        ),
        ({"data_parallel_size": 2}, "LLM(data_parallel_size=2) is not supported for single-process usage"),
        (
            {"offload_group_size": 2, "offload_num_in_group": 3},
            "offload_num_in_group (3) must be <= offload_group_size (2)",
        ),
        ({"offload_group_size": 2, "offload_prefetch_step": 0}, "offload_prefetch_step (0) must be >= 1"),
        ({"enable_eplb": True}, "enable_expert_parallel must be True to use EPLB"),
        (
            {"cudagraph_capture_sizes": [1], "compilation_config": {"cudagraph_capture_sizes": [2]}},
            "cudagraph_capture_sizes and compilation_config.cudagraph_capture_sizes are mutually exclusive",
        ),
        (
            {"attention_backend": "FLASH_ATTN", "attention_config": {"backend": "TRITON_ATTN"}},
            "attention_backend and attention_config.backend are mutually exclusive",
        ),
    ],
)
def test_engine_fields_that_contradict_each_other_are_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VllmEngine.model_validate(fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_num_batched_tokens": 1024, "max_model_len": 4096},
        {"max_num_batched_tokens": 4096, "max_model_len": 4096, "enable_chunked_prefill": False},
        {"max_num_batched_tokens": 128, "max_num_seqs": 128},
        {"offload_num_in_group": 1},
        {"enable_eplb": True, "enable_expert_parallel": True},
        {"data_parallel_size": 1},
    ],
)
def test_engine_fields_that_fit_together_are_taken(fields: dict[str, object]) -> None:
    assert VllmEngine.model_validate(fields).model_dump(exclude_unset=True) == fields


def test_several_contradictions_are_told_at_once() -> None:
    with pytest.raises(ValidationError, match=r"max_num_seqs.*; .*EPLB"):
        VllmEngine(max_num_batched_tokens=1, max_num_seqs=2, enable_eplb=True)


def test_greedy_decoding_gives_one_answer() -> None:
    with pytest.raises(ValidationError, match="n must be 1 when using greedy sampling, got 2"):
        VllmSampling(n=2)
    assert VllmSampling(n=2, temperature=0.7).n == 2


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (VllmEngine, "dtype", "is a field of its own, vllm.engine.dtype"),
        (VllmEngine, "seed", "cannot be set here: the study's `seed`"),
        (VllmSampling, "top_p", "is a field of its own, vllm.sampling.top_p"),
        (VllmSampling, "max_tokens", "cannot be set here: the study's `max_output_tokens`"),
    ],
)
def test_extra_holds_only_what_has_no_other_place(model: type[BaseModel], name: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"extra": {name: 1}})
    assert words in str(caught.value)
    assert model.model_validate({"extra": {"something_new": 1}}).model_dump()["extra"] == {"something_new": 1}


def test_sampling_and_beam_search_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match=r"`sampling` \(top_k\) has no effect beside `beam_search`"):
        VllmConfig(sampling=VllmSampling(top_k=5, temperature=0.0), beam_search=VllmBeamSearch(beam_width=2))


def test_a_configuration_survives_its_way_through_json() -> None:
    config = VllmConfig(
        engine=VllmEngine(cudagraph_capture_sizes=[1, 2]), beam_search=VllmBeamSearch(beam_width=2)
    ).normalised()
    assert VllmConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "sampling",
    [
        VllmSampling(temperature=0.0, top_p=0.5),
        VllmSampling(temperature=0.0, top_k=40, min_p=0.1, seed=7),
        VllmSampling(top_k=-1, n=1, presence_penalty=0.0, repetition_penalty=1.0, min_tokens=0, stop=[]),
    ],
)
def test_what_has_no_effect_does_not_make_another_experiment(sampling: VllmSampling) -> None:
    assert VllmConfig(sampling=sampling).normalised() == VllmConfig()


@pytest.mark.parametrize(
    "sampling",
    [
        VllmSampling(temperature=0.7, top_p=0.5),
        VllmSampling(repetition_penalty=1.1),
        VllmSampling(ignore_eos=False),
        VllmSampling(logprobs=0),
        VllmSampling(min_tokens=4),
    ],
)
def test_what_has_an_effect_stays(sampling: VllmSampling) -> None:
    assert VllmConfig(sampling=sampling).normalised().sampling == sampling


def test_engine_fields_without_effect_are_dropped() -> None:
    engine = VllmEngine(
        enforce_eager=True, cudagraph_capture_sizes=[1], kv_cache_memory_bytes=2**30, gpu_memory_utilization=0.5
    )
    assert VllmConfig(engine=engine).normalised().engine == VllmEngine(enforce_eager=True, kv_cache_memory_bytes=2**30)
