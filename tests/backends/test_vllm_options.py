"""Experiments turned into vLLM's arguments, what may share an engine, and what is refused before vLLM is imported."""

from __future__ import annotations

import os

import pytest

from pytest_llem.backends.vllm import VllmBackend, options, versions
from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.config import DatasetSpec, ExperimentConfig, ModelSpec
from pytest_llem.study.vllm import VllmBeamSearch, VllmConfig, VllmEngine, VllmSampling


def experiment(vllm: VllmConfig | None = None, **fields: object) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"model": ModelSpec(id="some/model"), "backend": "vllm", "vllm": vllm} | fields
    )


def test_a_field_that_the_study_leaves_out_is_left_to_vllm() -> None:
    arguments = options.engine_arguments(experiment())
    assert set(arguments) == {
        "model",
        "seed",
        "skip_tokenizer_init",
        "use_tqdm_on_load",
        "disable_log_stats",
        "worker_extension_cls",
        "trust_remote_code",
    }
    assert arguments["skip_tokenizer_init"] is True


def test_the_model_and_the_section_both_reach_vllm() -> None:
    model = ModelSpec(id="some/model", revision="abc", tokenizer="other/model")
    engine = VllmEngine(dtype="float16", block_size=32, extra={"ubatch_size": 2})
    arguments = options.engine_arguments(experiment(VllmConfig(engine=engine), model=model))
    assert arguments["dtype"] == "float16"
    assert arguments["block_size"] == 32
    assert arguments["ubatch_size"] == 2
    assert (arguments["revision"], arguments["tokenizer"]) == ("abc", "other/model")


def test_a_shape_gets_random_weights_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shape = ModelSpec(id="shape:llama-1b")
    assert options.engine_arguments(experiment(model=shape))["load_format"] == "dummy"
    engine = VllmConfig(engine=VllmEngine(load_format="auto"))
    assert options.engine_arguments(experiment(engine, model=shape))["load_format"] == "auto"


def test_greedy_to_the_full_length_is_the_default() -> None:
    assert options.sampling_arguments(experiment(max_output_tokens=7), end_ids=[2]) == {
        "max_tokens": 7,
        "temperature": 0.0,
        "ignore_eos": True,
        "detokenize": False,
    }


def test_end_tokens_are_told_where_they_count() -> None:
    sampling = VllmSampling(ignore_eos=False, stop_token_ids=[9])
    arguments = options.sampling_arguments(experiment(VllmConfig(sampling=sampling)), end_ids=[2, 9])
    assert arguments["stop_token_ids"] == [2, 9]


def test_text_is_made_only_for_stop_words_and_beams() -> None:
    stop = experiment(VllmConfig(sampling=VllmSampling(stop=["."])))
    beams = experiment(VllmConfig(beam_search=VllmBeamSearch(beam_width=12)))
    assert options.sampling_arguments(stop, [])["detokenize"] is True
    assert [options.engine_arguments(one)["skip_tokenizer_init"] for one in (stop, beams)] == [False, False]
    assert options.engine_arguments(beams)["max_logprobs"] == 24
    assert options.beam_search_arguments(beams) == {
        "max_tokens": 32,
        "beam_width": 12,
        "length_penalty": 1.0,
        "temperature": 0.0,
        "ignore_eos": True,
    }


def test_experiments_that_differ_in_what_they_ask_share_an_engine() -> None:
    base = experiment()
    sharing = [
        experiment(VllmConfig(sampling=VllmSampling(temperature=0.7, top_k=5))),
        experiment(VllmConfig(engine=VllmEngine(kv_cache_memory_bytes=None))),
        experiment(max_output_tokens=128),
        experiment(dataset=DatasetSpec(n=64, input_tokens=16)),
    ]
    assert {options.engine_key(one) for one in sharing} == {options.engine_key(base)}


@pytest.mark.parametrize(
    "other",
    [
        experiment(VllmConfig(engine=VllmEngine(block_size=32))),
        experiment(VllmConfig(engine=VllmEngine(extra={"ubatch_size": 2}))),
        experiment(model=ModelSpec(id="some/model", dtype="float16")),
        experiment(seed=1),
        experiment(VllmConfig(sampling=VllmSampling(stop=["."]))),
    ],
)
def test_experiments_that_differ_in_the_engine_do_not(other: ExperimentConfig) -> None:
    assert options.engine_key(other) != options.engine_key(experiment())


def check(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, version: str | None = "0.30.0") -> None:
    monkeypatch.setattr(versions, "installed", lambda: version)
    VllmBackend().check(config)


def test_a_missing_vllm_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependency) as caught:
        check(experiment(), monkeypatch, None)
    assert "pytest-llem[vllm]" in (caught.value.hint or "")


@pytest.mark.parametrize("version", ["0.25.1", "0.9.2", "0.6.3.post1+cpu"])
def test_a_version_that_is_too_old_says_so(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match=r"is too old: known are 0\.26 to 0\.30"):
        check(experiment(), monkeypatch, version)


@pytest.mark.parametrize(("version", "noted"), [("0.26.0", 0), ("0.30.2+cpu", 0), ("0.31.0", 1), ("1.0", 1)])
def test_a_newer_version_is_noted(version: str, noted: int) -> None:
    assert len(versions.require_supported(version)) == noted


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            experiment(VllmConfig(sampling=VllmSampling(min_tokens=40)), max_output_tokens=32),
            "min_tokens must be less than or equal to max_tokens=32, got 40.",
        ),
        (
            experiment(VllmConfig(beam_search=VllmBeamSearch(beam_width=2)), model=ModelSpec(id="shape:llama-1b")),
            "shape:llama-1b has no tokenizer",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_loading(
    config: ExperimentConfig, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BackendError) as caught:
        check(config, monkeypatch)
    assert words in str(caught.value)


def test_the_users_environment_is_never_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "for_cpu", lambda: True)
    monkeypatch.setattr(os, "environ", {"VLLM_CPU_KVCACHE_SPACE": "7", "VLLM_NO_USAGE_STATS": "0", "CXX": "c++"})
    assert versions.prepare_environment(VllmEngine()) == ()
    assert os.environ == {"VLLM_CPU_KVCACHE_SPACE": "7", "VLLM_NO_USAGE_STATS": "0", "CXX": "c++"}


def test_what_is_set_in_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "for_cpu", lambda: True)
    monkeypatch.setattr(os, "environ", {"PATH": ""})
    notes = versions.prepare_environment(VllmEngine())
    names = {"VLLM_NO_USAGE_STATS", "VLLM_CPU_KVCACHE_SPACE", "TORCHDYNAMO_DISABLE"}
    assert set(os.environ) == {"PATH", *names}
    assert all(any(name in note for note in notes) for name in names)


def test_a_cache_size_in_the_study_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "for_cpu", lambda: True)
    monkeypatch.setattr(os, "environ", {"CXX": "c++"})
    versions.prepare_environment(VllmEngine(kv_cache_memory_bytes=2**20))
    assert set(os.environ) == {"CXX", "VLLM_NO_USAGE_STATS"}
