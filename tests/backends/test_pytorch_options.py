"""Every field of the ``pytorch`` section reaches transformers: a table of where it goes, checked on recorded calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_llem.backends.base import Engine
from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.backends.pytorch_options import GENERATE_FIELDS, generation_options, loading_options
from pytest_llem.errors import BackendError
from pytest_llem.study.pytorch import PytorchConfig

from .conftest import experiment, quiet

Calls = dict[str, dict[str, Any]]
_SAMPLED = {"do_sample": True}
_BEAMS = {"num_beams": 2}
TO_GENERATE: dict[str, dict[str, Any]] = {  # field -> the section that sets it; it arrives under its own name
    "use_cache": {"use_cache": False},
    "cache_implementation": {"cache_implementation": "static"},
    "num_beams": {"num_beams": 3},
    "early_stopping": {"early_stopping": True, **_BEAMS},
    "length_penalty": {"length_penalty": 0.7, **_BEAMS},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 3},
    "num_return_sequences": {"num_return_sequences": 2, **_BEAMS},
    "do_sample": {"do_sample": True},
    "temperature": {"temperature": 0.9, **_SAMPLED},
    "top_k": {"top_k": 7, **_SAMPLED},
    "top_p": {"top_p": 0.8, **_SAMPLED},
    "min_p": {"min_p": 0.1, **_SAMPLED},
    "typical_p": {"typical_p": 0.6, **_SAMPLED},
    "epsilon_cutoff": {"epsilon_cutoff": 0.001, **_SAMPLED},
    "eta_cutoff": {"eta_cutoff": 0.002, **_SAMPLED},
    "repetition_penalty": {"repetition_penalty": 1.2},
    "min_new_tokens": {"min_new_tokens": 2, "ignore_eos": False},
    "prompt_lookup_num_tokens": {"prompt_lookup_num_tokens": 2},
}
ELSEWHERE: dict[
    str, tuple[dict[str, Any], Callable[[Calls], object], object]
] = {  # section, where to look, what is there
    "batch_size": ({"batch_size": 3}, lambda calls: calls["generate"]["input_ids"].shape[0], 3),
    "dtype": ({"dtype": "bfloat16"}, lambda calls: calls["from_pretrained"]["dtype"], "bfloat16"),
    "device_map": ({"device_map": "auto"}, lambda calls: calls["from_pretrained"]["device_map"], "auto"),
    "attn_implementation": (
        {"attn_implementation": "eager"},
        lambda calls: calls["from_pretrained"]["attn_implementation"],
        "eager",
    ),
    "torch_compile": (
        {"torch_compile": {"mode": "max-autotune", "backend": "eager", "fullgraph": True, "dynamic": False}},
        lambda calls: calls["compile"],
        {"mode": "max-autotune", "backend": "eager", "fullgraph": True, "dynamic": False},
    ),
    "quantization": (
        {"quantization": {"load_in_8bit": True, "llm_int8_threshold": 5.0}},
        lambda calls: calls["from_pretrained"]["quantization_config"].llm_int8_threshold,
        5.0,
    ),
    "revision": ({"revision": "v9"}, lambda calls: calls["from_pretrained"]["revision"], "v9"),
    "trust_remote_code": (
        {"trust_remote_code": True},
        lambda calls: calls["from_pretrained"]["trust_remote_code"],
        True,
    ),
    "ignore_eos": ({"ignore_eos": True}, lambda calls: calls["generate"]["eos_token_id"], None),
    "assistant_model": (
        {"assistant_model": "tiny"},
        lambda calls: type(calls["generate"]["assistant_model"]).__name__,
        "LlamaForCausalLM",
    ),
    "extra": (
        {"extra": {"from_pretrained": {"use_safetensors": True}, "renormalize_logits": True}},
        lambda calls: (calls["from_pretrained"]["use_safetensors"], calls["generate"]["renormalize_logits"]),
        (True, True),
    ),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tiny: Engine) -> Calls:
    """What transformers and torch are called with. Loading returns tiny, generating fills in the answer."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationMixin

    recorded: Calls = {}
    load = AutoModelForCausalLM.from_pretrained

    def from_pretrained(source: str, **options: Any) -> Any:
        recorded["from_pretrained"] = options
        return load(source)

    def generate(self: Any, input_ids: Any, **options: Any) -> Any:
        recorded["generate"] = {"input_ids": input_ids, **options}
        (clock,) = options["stopping_criteria"]
        clock(input_ids, None)
        clock(input_ids, None)
        return torch.cat([input_ids, input_ids[:, :1].expand(-1, options["max_new_tokens"])], dim=1)

    def compiled(forward: Any, **options: Any) -> Any:
        recorded["compile"] = options
        return forward

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    monkeypatch.setattr(GenerationMixin, "generate", generate)
    monkeypatch.setattr(torch, "compile", compiled)
    return recorded


def go(section: dict[str, Any]) -> None:
    config = experiment(pytorch=section, max_output_tokens=4)
    engine = PytorchBackend().load(config, quiet)
    engine.generate([[5, 6, 7]] * 3, config, lambda label, units: None)
    engine.close()


def test_the_tables_hold_every_field() -> None:
    assert {*TO_GENERATE, *ELSEWHERE} == set(PytorchConfig.model_fields)
    assert set(TO_GENERATE) == set(GENERATE_FIELDS)


@pytest.mark.parametrize("field", TO_GENERATE)
def test_a_field_of_generate_arrives_under_its_own_name(calls: Calls, field: str) -> None:
    section = TO_GENERATE[field]
    go(section)
    assert calls["generate"][field] == section[field]


@pytest.mark.parametrize("field", ELSEWHERE)
def test_another_field_arrives_where_the_table_says(calls: Calls, field: str) -> None:
    section, look, expected = ELSEWHERE[field]
    go(section)
    assert look(calls) == expected


def test_what_is_not_set_is_left_to_the_library(calls: Calls) -> None:
    go({})
    assert set(calls["from_pretrained"]) == {"trust_remote_code"}
    assert set(calls["generate"]) == {
        *("input_ids", "attention_mask", "pad_token_id", "stopping_criteria", "assistant_model", "max_new_tokens"),
        *("use_cache", "do_sample", "disable_compile", "eos_token_id"),
    }
    assert "compile" not in calls


def test_prompts_are_padded_on_the_left_and_masked(calls: Calls, tiny: Engine) -> None:
    config = experiment(pytorch={"batch_size": 2})
    tiny.generate([[5], [6, 7, 8]], config, lambda label, units: None)
    pad = calls["generate"]["pad_token_id"]
    assert calls["generate"]["input_ids"].tolist() == [[pad, pad, 5], [6, 7, 8]]
    assert calls["generate"]["attention_mask"].tolist() == [[0, 0, 1], [1, 1, 1]]


def test_the_model_s_own_dtype_and_revision_arrive_too() -> None:
    config = experiment(model={"id": "tiny", "dtype": "float16", "revision": "abc", "trust_remote_code": True})
    assert loading_options(config) == {"dtype": "float16", "revision": "abc", "trust_remote_code": True}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"temperature": 0.5}, "pytorch.extra sets temperature"),
        ({"max_new_tokens": 5}, "pytorch.extra sets max_new_tokens"),
        ({"streamer": 1, "input_ids": [1]}, "pytorch.extra sets input_ids, streamer"),
        ({"eos_token_id": 5}, "pytorch.extra sets eos_token_id"),  # ignore_eos is on
        ({"from_pretrained": {"dtype": "float16"}}, "pytorch.extra.from_pretrained sets dtype"),
        ({"from_pretrained": 5}, "must be a mapping"),
    ],
)
def test_extra_cannot_say_what_is_said_elsewhere(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        PytorchBackend().check(experiment(pytorch={"extra": extra}))


def test_extra_wins_over_what_only_this_backend_decides() -> None:
    assert generation_options(experiment())["disable_compile"] is True
    assert generation_options(experiment(pytorch={"extra": {"disable_compile": False}}))["disable_compile"] is False
