"""Prompts of an experiment as token ids: the same ids for every backend, on every machine."""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_llem.datasets.files import read_texts
from pytest_llem.datasets.hub import aienergyscore
from pytest_llem.datasets.synthetic import prompt_lengths, synthetic_prompts
from pytest_llem.errors import DatasetError
from pytest_llem.study.config import ExperimentConfig

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class PromptSet:
    """``token_ids``: one tuple for each request; ``cut``: how many were longer than ``input_tokens``.

    ``hash`` is the sha256 of all ids in order, 8 bytes each, a -1 after each prompt.
    """

    token_ids: tuple[Tokens, ...]
    cut: int
    source: str
    hash: str


def make_prompts(
    config: ExperimentConfig,
    tokenize: Callable[[Sequence[str]], list[list[int]]],
    vocabulary: Callable[[], int],
) -> PromptSet:
    """The prompts that ``config.dataset`` describes; raises DatasetError.

    ``tokenize`` turns texts into ids (with the chat template, where the experiment asks for it), ``vocabulary`` tells
    how many ids synthetic prompts may use. Only the one that is needed is called.
    """
    spec = config.dataset
    seed = config.seed if spec.seed is None else spec.seed
    if spec.source == "synthetic":
        uncut = synthetic_prompts(prompt_lengths(spec.n, spec.input_tokens, spec.lengths, seed), vocabulary(), seed)
    else:
        texts = aienergyscore() if spec.source == "aienergyscore" else read_texts(spec.source, spec.column)
        if len(texts) < spec.n:
            raise DatasetError(
                f"{spec.source} has {len(texts)} prompts, dataset.n asks for {spec.n}",
                hint=f"set dataset.n to {len(texts)} or less",
            )
        if spec.order == "shuffled":
            random.Random(seed).shuffle(texts)
        uncut = tokenize(texts[: spec.n])
    if any(not ids for ids in uncut):
        raise DatasetError(f"{spec.source}: the tokenizer made no token of at least one prompt")
    token_ids = [tuple(ids[: spec.input_tokens]) for ids in uncut]
    if spec.order == "by_length":
        token_ids.sort(key=len)
    cut = sum(len(ids) > spec.input_tokens for ids in uncut)
    return PromptSet(tuple(token_ids), cut, spec.source, _hash(token_ids))


def _hash(token_ids: Sequence[Tokens]) -> str:
    digest = hashlib.sha256()
    for ids in token_ids:
        digest.update(array("q", [*ids, -1]).tobytes())
    return digest.hexdigest()
