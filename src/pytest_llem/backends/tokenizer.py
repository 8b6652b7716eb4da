"""Texts to token ids, by the model's own tokenizer; the same for every backend, so that all get the same ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_llem.backends.models import is_shape, is_tiny, model_source, prompt_vocabulary
from pytest_llem.backends.refusals import refusals
from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.config import ExperimentConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenize(config: ExperimentConfig, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, with the special tokens that the tokenizer adds, in the chat template if asked for.

    Raises BackendError where there is no tokenizer or no chat template.
    """
    tokenizer = _load(config)
    if not config.dataset.chat_template:
        with refusals(f"the tokenizer of {_name(config)} cannot be used"):
            ids: list[list[int]] = tokenizer(list(texts))["input_ids"]
            return ids
    if tokenizer.chat_template is None:
        raise BackendError(
            f"the tokenizer of {_name(config)} has no chat template", hint="set dataset.chat_template to false"
        )
    with refusals(f"the tokenizer of {_name(config)} cannot be used"):
        return [_chat(tokenizer, text) for text in texts]


def vocabulary(config: ExperimentConfig) -> int:
    """Ids below this one may be used in synthetic prompts: special tokens above the text's are left out."""
    model_id = config.model.id
    if is_tiny(model_id) or is_shape(model_id):
        return prompt_vocabulary(model_id)
    tokenizer = _load(config)
    size = len(tokenizer)
    upper = [int(number) for number in tokenizer.all_special_ids if number >= size // 2]
    return min([size, *upper])


def _chat(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    conversation = [{"role": "user", "content": text}]
    templated: Any = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
    return list(templated)


def _name(config: ExperimentConfig) -> str:
    return config.model.tokenizer or config.model.id


def _load(config: ExperimentConfig) -> PreTrainedTokenizerBase:
    name = _name(config)
    if is_shape(name):
        raise BackendError(
            f"{name} has no tokenizer", hint="use dataset.source: synthetic, or name a tokenizer in model.tokenizer"
        )
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingDependency("transformers", "transformers") from None
    with refusals(f"the tokenizer of {name} cannot be loaded"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model_source(name),
            revision=None if config.model.tokenizer else config.model.revision,
            trust_remote_code=config.model.trust_remote_code,
        )
        return tokenizer
