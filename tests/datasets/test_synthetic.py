"""Synthetic prompts: exact lengths, allowed ids, the same on every machine."""

from __future__ import annotations

import hashlib
import statistics

import pytest

from pytest_llem.datasets.synthetic import prompt_lengths, synthetic_prompts


def test_every_prompt_has_exactly_the_tokens_asked_for() -> None:
    prompts = synthetic_prompts([17] * 5, vocabulary=1021, seed=3)
    assert [len(prompt) for prompt in prompts] == [17] * 5


@pytest.mark.parametrize(("vocabulary", "lowest"), [(128_000, 1000), (1021, 255), (8, 2), (1, 0)])
def test_ids_lie_below_the_vocabulary_and_above_the_special_tokens(vocabulary: int, lowest: int) -> None:
    ids = {token for prompt in synthetic_prompts([500] * 20, vocabulary, seed=0) for token in prompt}
    assert lowest <= min(ids)
    assert max(ids) < vocabulary
    assert len(ids) > min(vocabulary - lowest, 5000) * 0.9  # all of the range is used


def test_these_and_no_other_ids() -> None:
    """Results of two machines are comparable only if both were asked the same."""
    drawn = repr(synthetic_prompts([3, 3], 1021, seed=42)).encode()
    assert hashlib.sha256(drawn).hexdigest() == "e628095787173ee2f04380c2e521b93ae58a52a789f4b736dcbdb61e2524239f", (
        drawn
    )


def test_a_seed_is_one_set_of_prompts() -> None:
    assert synthetic_prompts([8] * 4, 1021, seed=1) == synthetic_prompts([8] * 4, 1021, seed=1)
    assert synthetic_prompts([8] * 4, 1021, seed=1) != synthetic_prompts([8] * 4, 1021, seed=2)
    assert len({tuple(prompt) for prompt in synthetic_prompts([8] * 50, 1021, seed=1)}) == 50


def test_more_prompts_begin_with_the_same_ones() -> None:
    assert synthetic_prompts([8] * 9, 1021, seed=1)[:4] == synthetic_prompts([8] * 4, 1021, seed=1)


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_log_normal_lengths_have_the_figures_of_the_ai_energy_score(seed: int) -> None:
    lengths = sorted(prompt_lengths(1000, 64, "log-normal", seed))
    assert statistics.median(lengths) == pytest.approx(98, rel=0.02)
    assert statistics.mean(lengths) == pytest.approx(288, rel=0.05)
    assert lengths[950] == pytest.approx(1057, rel=0.05)
    assert lengths[0] >= 1


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_uniform_lengths_are_spread_evenly_up_to_the_longest(seed: int) -> None:
    lengths = prompt_lengths(1000, 50, "uniform", seed)
    counts = [lengths.count(length) for length in range(1, 51)]
    assert sum(counts) == 1000
    assert all(18 <= count <= 22 for count in counts)


def test_fixed_lengths() -> None:
    assert prompt_lengths(3, 17, "fixed", seed=1) == [17, 17, 17]


@pytest.mark.parametrize("distribution", ["uniform", "log-normal"])
def test_lengths_are_the_seed_s_and_number_k_is_the_same_however_many(distribution: str) -> None:
    lengths = prompt_lengths(20, 300, distribution, seed=5)
    assert prompt_lengths(4, 300, distribution, seed=5) == lengths[:4]
    assert prompt_lengths(20, 300, distribution, seed=6) != lengths


def test_these_and_no_other_lengths() -> None:
    assert prompt_lengths(6, 100, "log-normal", seed=42) == [82, 12, 201, 47, 796, 115]
    assert prompt_lengths(6, 100, "uniform", seed=42) == [46, 8, 69, 31, 93, 55]
