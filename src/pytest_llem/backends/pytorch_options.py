"""Where each field of the ``pytorch`` section goes: to ``from_pretrained``, to ``generate``, or into our own loop.

``extra`` holds what has no field: ``extra.from_pretrained`` goes to ``from_pretrained``, all its other keys to
``generate``. A key that a field or this backend already sets is refused; one that transformers does not know is refused
by transformers.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import JsonValue

from pytest_llem.errors import BackendError
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.pytorch import PytorchConfig

LOADING_EXTRA = "from_pretrained"
LOADING_FIELDS = ("dtype", "device_map", "attn_implementation", "quantization", "revision", "trust_remote_code")
_LOOP_FIELDS = ("batch_size", "torch_compile", "ignore_eos", "assistant_model", "extra")  # used in pytorch*.py
GENERATE_FIELDS = tuple(name for name in PytorchConfig.model_fields if name not in LOADING_FIELDS + _LOOP_FIELDS)
# Set by this backend in every call:
_INPUTS = ("inputs", "input_ids", "attention_mask", "max_new_tokens", "max_length", "pad_token_id")
_WATCHING = ("stopping_criteria", "streamer", "assistant_model", "return_dict_in_generate")


def pytorch_section(config: ExperimentConfig) -> PytorchConfig:
    """The section, or its defaults."""
    return config.pytorch or PytorchConfig()


def loading_options(config: ExperimentConfig) -> dict[str, JsonValue]:
    """Arguments of ``from_pretrained`` that are plain values; device_map and quantization are made elsewhere.

    The section and the model never contradict each other (the study file's rules see to that).
    """
    section = pytorch_section(config)
    extra = section.extra.get(LOADING_EXTRA, {})
    if not isinstance(extra, dict):
        raise BackendError(f"pytorch.extra.{LOADING_EXTRA} must be a mapping of from_pretrained's arguments")
    _refuse_doubles(f"pytorch.extra.{LOADING_EXTRA}", extra, (*LOADING_FIELDS, "quantization_config"))
    options: dict[str, JsonValue] = {
        "dtype": section.dtype or config.model.dtype,
        "attn_implementation": section.attn_implementation,
        "revision": section.revision or config.model.revision,
        "trust_remote_code": section.trust_remote_code or config.model.trust_remote_code,
    }
    return {name: value for name, value in options.items() if value is not None} | extra


def generation_options(config: ExperimentConfig) -> dict[str, JsonValue]:
    """Arguments of ``generate`` that are plain values, one for each field that is set."""
    section = pytorch_section(config)
    extra = {name: value for name, value in section.extra.items() if name != LOADING_EXTRA}
    ending = ("eos_token_id",) if section.ignore_eos else ()
    _refuse_doubles("pytorch.extra", extra, (*type(section).model_fields, *_INPUTS, *_WATCHING, *ending))
    options: dict[str, JsonValue] = {
        name: value for name in GENERATE_FIELDS if (value := getattr(section, name)) is not None
    }
    options["max_new_tokens"] = config.max_output_tokens
    # torch_compile is the forward pass, compiled once when loading; without it nothing is compiled behind our back
    options["disable_compile"] = True
    if section.ignore_eos:
        options["eos_token_id"] = None  # fixed length without touching the logits, as vLLM's ignore_eos does it
    return options | extra


def loading_key(config: ExperimentConfig) -> str:
    """A hash of all that decides what is loaded, and of nothing else."""
    section = pytorch_section(config)
    told = section.model_dump(mode="json", include={*LOADING_FIELDS, "torch_compile", "assistant_model"})
    parts = [config.model.model_dump(mode="json"), told, section.extra.get(LOADING_EXTRA, {})]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _refuse_doubles(where: str, extra: dict[str, JsonValue], taken: tuple[str, ...]) -> None:
    doubles = sorted(set(extra) & set(taken))
    if doubles:
        raise BackendError(
            f"{where} sets {', '.join(doubles)}, which pytest-llem sets itself or has a field for",
            hint="use the field of that name, or leave it out",
        )
