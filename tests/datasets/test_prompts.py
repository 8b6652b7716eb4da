"""Prompts of an experiment: cut, ordered, counted, hashed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_llem.datasets.prompts import PromptSet, make_prompts
from pytest_llem.datasets.synthetic import prompt_lengths
from pytest_llem.errors import DatasetError
from pytest_llem.study.config import ExperimentConfig


def by_letters(texts: Sequence[str]) -> list[list[int]]:
    """A tokenizer of one token for each letter."""
    return [[ord(letter) for letter in text] for text in texts]


def make(experiment_seed: int = 42, **dataset: object) -> PromptSet:
    config = ExperimentConfig.model_validate({"model": {"id": "tiny"}, "seed": experiment_seed, "dataset": dataset})
    return make_prompts(config, by_letters, lambda: 1021)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f'"{text}"\n' for text in ["dddd", "bb", "a", "eeeee", "ccc"]))
    return str(path)


def texts(prompts: PromptSet) -> list[str]:
    return ["".join(map(chr, ids)) for ids in prompts.token_ids]


def test_prompts_of_a_file_are_cut_and_the_cut_ones_counted(file: str) -> None:
    prompts = make(source=file, n=5, input_tokens=3)
    assert texts(prompts) == ["ddd", "bb", "a", "eee", "ccc"]
    assert prompts.cut == 2
    assert prompts.source == file


def test_orders(file: str) -> None:
    assert texts(make(source=file, n=4)) == ["dddd", "bb", "a", "eeeee"]
    assert texts(make(source=file, n=4, order="by_length")) == ["a", "bb", "dddd", "eeeee"]
    shuffled = texts(make(source=file, n=5, order="shuffled"))
    assert sorted(shuffled) == ["a", "bb", "ccc", "dddd", "eeeee"]
    assert shuffled == texts(make(source=file, n=5, order="shuffled"))
    others = {tuple(texts(make(source=file, n=5, order="shuffled", seed=seed))) for seed in range(8)}
    assert len(others) > 4


def test_a_shuffled_part_is_a_sample_of_the_whole_file(file: str) -> None:
    firsts = {texts(make(source=file, n=1, order="shuffled", seed=seed))[0] for seed in range(40)}
    assert len(firsts) == 5


def test_the_dataset_s_seed_goes_before_the_experiment_s() -> None:
    assert make(1) == make(1) != make(2)
    assert make(1, seed=9) == make(2, seed=9)


def test_synthetic_prompts_are_never_cut_and_ask_no_tokenizer() -> None:
    config = ExperimentConfig.model_validate({"model": {"id": "tiny"}, "dataset": {"n": 3, "input_tokens": 9}})

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        raise AssertionError

    prompts = make_prompts(config, tokenize, lambda: 500)
    assert [len(ids) for ids in prompts.token_ids] == [9] * 3
    assert prompts.cut == 0


def test_natural_lengths_are_cut_to_the_longest_and_counted() -> None:
    prompts = make(n=200, input_tokens=256, lengths="log-normal")
    assert max(map(len, prompts.token_ids)) == 256
    assert prompts.cut == sum(length > 256 for length in prompt_lengths(200, 256, "log-normal", 42)) > 20
    assert make(n=200, input_tokens=256, lengths="uniform").cut == 0


def test_lengths_of_other_prompts_are_their_own(file: str) -> None:
    with pytest.raises(ValidationError, match="lengths: uniform is for synthetic prompts"):
        make(source=file, lengths="uniform")


def test_the_hash_tells_prompts_apart_by_ids_and_by_where_they_end(tmp_path: Path) -> None:
    hashes = set()
    for number, lines in enumerate(['"ab"\n"c"', '"a"\n"bc"', '"c"\n"ab"']):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(lines)
        hashes.add(make(source=str(path), n=2).hash)
    assert len(hashes) == 3


def test_too_few_prompts_say_how_many_there_are(file: str) -> None:
    with pytest.raises(DatasetError, match=r"has 5 prompts, dataset\.n asks for 8") as caught:
        make(source=file)
    assert caught.value.hint == "set dataset.n to 5 or less"


def test_a_prompt_without_tokens_is_refused(file: str) -> None:
    config = ExperimentConfig.model_validate({"model": {"id": "tiny"}, "dataset": {"source": file, "n": 2}})
    with pytest.raises(DatasetError, match="no token of at least one prompt"):
        make_prompts(config, lambda texts: [[1], []], lambda: 1021)
