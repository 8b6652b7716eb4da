"""Texts to ids, and which ids synthetic prompts may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.backends import tiny
from pytest_llem.backends.models import model_folder
from pytest_llem.backends.tokenizer import tokenize, vocabulary
from pytest_llem.errors import BackendError

from .conftest import experiment


def test_tiny_s_tokens_come_back_as_the_text() -> None:
    from transformers import AutoTokenizer

    text = "How many joules? Ünïcödé 🙂 too."
    (ids,) = tokenize(experiment(), [text])
    assert max(ids) < tiny.TEXT_VOCABULARY
    assert AutoTokenizer.from_pretrained(model_folder("tiny")).decode(ids) == text


def test_each_text_has_its_own_ids() -> None:
    short, long = tokenize(experiment(), ["energy", "energy energy energy"])
    assert 0 < len(short) < len(long)


@pytest.mark.parametrize(("model", "expected"), [("tiny", 1021), ("shape:llama-1b", 128_000)])
def test_the_vocabulary_of_a_built_in_leaves_special_tokens_out(model: str, expected: int) -> None:
    assert vocabulary(experiment(model={"id": model})) == expected


def test_the_vocabulary_of_any_model_ends_where_special_tokens_begin() -> None:
    assert vocabulary(experiment(model={"id": str(model_folder("tiny"))})) == tiny.TEXT_VOCABULARY


def test_a_shape_has_no_tokenizer_but_may_borrow_one() -> None:
    with pytest.raises(BackendError, match="shape:llama-1b has no tokenizer"):
        tokenize(experiment(model={"id": "shape:llama-1b"}), ["text"])
    borrowed = tokenize(experiment(model={"id": "shape:llama-1b", "tokenizer": "tiny"}), ["text"])
    assert borrowed == tokenize(experiment(), ["text"])


def test_a_chat_template_is_used_or_missed_loudly(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="has no chat template"):
        tokenize(experiment(dataset={"chat_template": True}), ["text"])
    folder = tmp_path / "chatty"
    folder.mkdir()
    tiny.write(folder)
    template = "{% for m in messages %}<|begin|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
    (folder / "chat_template.jinja").write_text(template)
    chat = {"model": {"id": str(folder)}, "dataset": {"chat_template": True}}
    (wrapped,) = tokenize(experiment(**chat), ["text"])
    assert wrapped == [1022, *tokenize(experiment(), ["textA:"])[0]]


def test_a_folder_that_is_no_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=f"the tokenizer of {tmp_path} cannot be loaded: "):
        tokenize(experiment(model={"id": str(tmp_path)}), ["text"])
