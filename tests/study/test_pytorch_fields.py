"""Every field of the ``pytorch`` section is a name of the installed transformers: a rename upstream fails here."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from pytest_llem.study.pytorch import PytorchConfig, Quantization, TorchCompile

transformers = pytest.importorskip("transformers")

OURS = {"batch_size", "ignore_eos", "torch_compile", "quantization", "extra"}
"""Fields without a namesake: our loop's own, and those whose content is checked below."""

LOADING = {"dtype", "device_map", "attn_implementation", "revision", "trust_remote_code"}
GENERATE_ARGUMENTS = {"assistant_model"}


def choices(field: str) -> set[str]:
    found: set[str] = set()
    pending = [PytorchConfig.model_fields[field].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, str):
            found.add(annotation)
        pending += get_args(annotation)
    return found


def test_every_field_is_accounted_for() -> None:
    generation = set(transformers.GenerationConfig().__dict__)
    fields = set(PytorchConfig.model_fields)
    assert fields - generation - OURS - LOADING == GENERATE_ARGUMENTS


def test_loading_fields_are_taken_by_from_pretrained() -> None:
    from transformers.modeling_utils import PreTrainedModel

    source = inspect.getsource(PreTrainedModel.from_pretrained)
    named = set(inspect.signature(PreTrainedModel.from_pretrained).parameters)
    taken = {name for name in LOADING if name in named or f'"{name}"' in source}
    assert taken == LOADING


def test_generate_takes_an_assistant_model() -> None:
    from transformers import GenerationMixin

    assert set(inspect.signature(GenerationMixin.generate).parameters) >= GENERATE_ARGUMENTS


def test_quantization_fields_are_those_of_bitsandbytes_config() -> None:
    known = set(inspect.signature(transformers.BitsAndBytesConfig).parameters)
    assert set(Quantization.model_fields) <= known


def test_compile_fields_are_those_of_torch_compile() -> None:
    torch = pytest.importorskip("torch")
    assert set(TorchCompile.model_fields) <= set(inspect.signature(torch.compile).parameters)


def test_cache_implementations_are_known() -> None:
    from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS

    assert choices("cache_implementation") <= set(ALL_CACHE_IMPLEMENTATIONS)


def test_attention_implementations_are_known() -> None:
    from transformers import AttentionInterface

    assert choices("attn_implementation") - {"eager"} <= set(AttentionInterface._global_mapping)


def test_values_are_accepted_by_the_generation_config() -> None:
    values = {
        "num_beams": 2,
        "early_stopping": "never",
        "length_penalty": 0.5,
        "no_repeat_ngram_size": 2,
        "num_return_sequences": 2,
        "do_sample": True,
        "temperature": 0.5,
        "top_k": 5,
        "top_p": 0.5,
        "min_p": 0.1,
        "typical_p": 0.5,
        "epsilon_cutoff": 0.1,
        "eta_cutoff": 0.1,
        "repetition_penalty": 1.1,
        "min_new_tokens": 1,
        "cache_implementation": "static",
        "use_cache": True,
    }
    PytorchConfig.model_validate(values)
    config = transformers.GenerationConfig(**values)
    config.validate(strict=True)
    assert {name: getattr(config, name) for name in values} == values
