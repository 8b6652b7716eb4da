"""Synthetic prompts: exact lengths, allowed ids, the same on every machine."""

from __future__ import annotations

import hashlib

import pytest

from pytest_llem.datasets.synthetic import synthetic_prompts


def test_every_prompt_has_exactly_the_tokens_asked_for() -> None:
    prompts = synthetic_prompts(n=5, tokens=17, vocabulary=1021, seed=3)
    assert [len(prompt) for prompt in prompts] == [17] * 5


@pytest.mark.parametrize(("vocabulary", "lowest"), [(128_000, 1000), (1021, 255), (8, 2), (1, 0)])
def test_ids_lie_below_the_vocabulary_and_above_the_special_tokens(vocabulary: int, lowest: int) -> None:
    ids = {token for prompt in synthetic_prompts(20, 500, vocabulary, seed=0) for token in prompt}
    assert lowest <= min(ids)
    assert max(ids) < vocabulary
    assert len(ids) > min(vocabulary - lowest, 5000) * 0.9  # all of the range is used


def test_these_and_no_other_ids() -> None:
    """Results of two machines are comparable only if both were asked the same."""
    drawn = repr(synthetic_prompts(2, 3, 1021, seed=42)).encode()
    assert hashlib.sha256(drawn).hexdigest() == "e628095787173ee2f04380c2e521b93ae58a52a789f4b736dcbdb61e2524239f", (
        drawn
    )


def test_a_seed_is_one_set_of_prompts() -> None:
    assert synthetic_prompts(4, 8, 1021, seed=1) == synthetic_prompts(4, 8, 1021, seed=1)
    assert synthetic_prompts(4, 8, 1021, seed=1) != synthetic_prompts(4, 8, 1021, seed=2)
    assert len({tuple(prompt) for prompt in synthetic_prompts(50, 8, 1021, seed=1)}) == 50


def test_more_prompts_begin_with_the_same_ones() -> None:
    assert synthetic_prompts(9, 8, 1021, seed=1)[:4] == synthetic_prompts(4, 8, 1021, seed=1)
