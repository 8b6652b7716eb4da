"""What the fields of the ``pytorch`` section demand of each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_llem.study.pytorch import PytorchConfig


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"quantization": {"load_in_4bit": True, "load_in_8bit": True}},
            "load_in_4bit and load_in_8bit exclude each other",
        ),
        ({"quantization": {"bnb_4bit_quant_type": "nf4"}}, "bnb_4bit_quant_type needs load_in_4bit: true"),
        ({"quantization": {"llm_int8_threshold": 6.0}}, "llm_int8_threshold needs load_in_8bit: true"),
        ({"use_cache": False, "cache_implementation": "static"}, "cache_implementation: static needs use_cache: true"),
        ({"num_return_sequences": 2}, "num_return_sequences (2) needs do_sample: true or as many num_beams"),
        ({"num_return_sequences": 3, "num_beams": 2}, "num_return_sequences (3) is above num_beams (2)"),
        ({"do_sample": True, "temperature": 0.0}, "temperature must be above 0 with do_sample: true"),
        ({"prompt_lookup_num_tokens": 3, "assistant_model": "x"}, "exclude each other"),
        ({"prompt_lookup_num_tokens": 3, "batch_size": 2}, "works with batch_size 1 only, and it is 2"),
        ({"assistant_model": "x", "num_beams": 2}, "assistant_model does not work with num_beams (2)"),
        ({"assistant_model": "x", "use_cache": False}, "assistant_model needs use_cache: true"),
        ({"assistant_model": "x", "cache_implementation": "static"}, "does not work with cache_implementation: static"),
        (
            {"assistant_model": "x", "do_sample": True, "num_return_sequences": 2},
            "assistant_model does not work with num_return_sequences (2)",
        ),
    ],
)
def test_what_transformers_would_refuse_is_refused_before_loading(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PytorchConfig.model_validate(fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}},
        {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never", "length_penalty": -1},
        {"do_sample": True, "num_return_sequences": 4, "temperature": 0.7},
        {"prompt_lookup_num_tokens": 3},
        {"torch_compile": {"mode": "max-autotune", "fullgraph": True}},
        {"device_map": {"": 0, "lm_head": "cpu"}},
        {"temperature": 0},
    ],
)
def test_what_fits_together_is_left_alone(fields: dict[str, object]) -> None:
    assert PytorchConfig.model_validate(fields).model_dump(exclude_unset=True) == fields


@pytest.mark.parametrize(
    ("fields", "off"),
    [
        ({"temperature": 0.5, "top_k": 3, "typical_p": 0.9}, {"temperature", "top_k", "typical_p"}),
        ({"temperature": 0.5, "do_sample": True}, set()),
        ({"length_penalty": 0.5, "early_stopping": True}, {"length_penalty", "early_stopping"}),
        ({"length_penalty": 0.5, "num_beams": 2}, set()),
        ({"min_new_tokens": 3}, {"min_new_tokens"}),
        ({"min_new_tokens": 3, "ignore_eos": False}, set()),
    ],
)
def test_fields_without_effect_are_known_and_unset(fields: dict[str, object], off: set[str]) -> None:
    config = PytorchConfig.model_validate(fields)
    assert set(config.dormant()) == off
    assert config.normalised() == PytorchConfig.model_validate({k: v for k, v in fields.items() if k not in off})
