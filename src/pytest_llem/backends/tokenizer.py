"""Texts to token ids, by the model's own tokenizer; the same for every backend, so that all get the same ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llem.backends.models import has_random_weights, id_hint, is_shape, model_source, prompt_vocabulary
from pytest_llem.backends.refusals import refusals
from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.config import ExperimentConfig


def tokenize(config: ExperimentConfig, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, with the special tokens that the tokenizer adds, in the chat template if asked for.

    Raises BackendError where there is no tokenizer or no chat template.
    """
    name, tokenizer = _load(config)
    if config.dataset.chat_template and tokenizer.chat_template is None:
        raise BackendError(f"the tokenizer of {name} has no chat template", hint="set dataset.chat_template to false")
    with refusals(f"the tokenizer of {name} cannot be used"):
        if not config.dataset.chat_template:
            ids: list[list[int]] = tokenizer(list(texts))["input_ids"]
            return ids
        turns = [[{"role": "user", "content": text}] for text in texts]
        return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))


def vocabulary(config: ExperimentConfig) -> int:
    """Ids below this one may be used in synthetic prompts: special tokens above the text's are left out."""
    if has_random_weights(config.model.id):
        return prompt_vocabulary(config.model.id)
    _, tokenizer = _load(config)
    size = len(tokenizer)
    return min([size, *(int(number) for number in tokenizer.all_special_ids if number >= size // 2)])


def _load(config: ExperimentConfig) -> tuple[str, Any]:
    """Whose tokenizer it is, and the tokenizer."""
    name = config.model.tokenizer or config.model.id
    if is_shape(name):
        raise BackendError(
            f"{name} has no tokenizer", hint="use dataset.source: synthetic, or name a tokenizer in model.tokenizer"
        )
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingDependency("transformers", "transformers") from None
    with refusals(f"the tokenizer of {name} cannot be loaded", id_hint(name)):
        return name, AutoTokenizer.from_pretrained(
            model_source(name),
            revision=None if config.model.tokenizer else config.model.revision,
            trust_remote_code=config.model.trust_remote_code,
        )
