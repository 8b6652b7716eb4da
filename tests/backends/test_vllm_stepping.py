"""Requests followed through made-up steps: times, counts, and where the phases are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_llem.backends.vllm.stepping import MIXED_SHARE, Requests, follow

Marks = list[tuple[str, float]]


@dataclass
class Answer:
    token_ids: Sequence[int]
    index: int = 0
    finish_reason: str | None = None


@dataclass
class Output:
    request_id: str
    outputs: Sequence[Answer]


def requests(prompt_tokens: int, answers: dict[str, int], *, every_token: bool = True) -> tuple[Requests, Marks]:
    marks: Marks = []
    followed = Requests(prompt_tokens, lambda label, units: marks.append((label, units)), every_token=every_token)
    for number, (request_id, n) in enumerate(answers.items()):
        followed.handed_over(request_id, n, 10.0 + number)
    return followed, marks


def test_a_single_request_is_timed_token_by_token() -> None:
    followed, marks = requests(8, {"a": 1})
    followed.take([Output("a", [Answer([5])])], 11.0)
    followed.take([Output("a", [Answer([6, 7])])], 12.0)
    followed.take([Output("a", [Answer([2], finish_reason="stop")])], 13.0)
    (answer,) = followed.finish()
    assert answer.token_ids == (5, 6, 7, 2)
    assert (answer.start, answer.first_token, answer.end) == (10.0, 11.0, 13.0)
    assert answer.token_times == (11.0, 12.0, 12.0, 13.0)
    assert marks == [("prefill", 8), ("decode", 3)]


def test_token_times_are_kept_only_where_asked_for() -> None:
    followed, _ = requests(8, {"a": 1}, every_token=False)
    followed.take([Output("a", [Answer([5], finish_reason="length")])], 11.0)
    (answer,) = followed.finish()
    assert answer.token_times is None
    assert answer.first_token == 11.0


def test_one_token_each_is_all_prefill() -> None:
    followed, marks = requests(16, {"a": 1, "b": 1})
    followed.take([Output(name, [Answer([1], finish_reason="length")]) for name in "ab"], 11.0)
    followed.finish()
    assert marks == [("prefill", 16)]


@pytest.mark.parametrize(("early", "labels"), [(1, ["prefill", "decode"]), (30, ["generate"])])
def test_phases_are_told_apart_only_where_prefill_was_nearly_all_prompt(early: int, labels: list[str]) -> None:
    """``b`` has to wait while ``a`` decodes ``early`` tokens beside 100 prompt tokens."""
    followed, marks = requests(100, {"a": 1, "b": 1})
    followed.take([Output("a", [Answer([1])])], 11.0)
    followed.take([Output("a", [Answer([1] * early)])], 12.0)
    followed.take([Output("b", [Answer([1])])], 13.0)
    followed.take([Output(name, [Answer([1], finish_reason="length")]) for name in "ab"], 14.0)
    answers = followed.finish()
    assert [label for label, _ in marks] == labels
    assert (early / (100 + early) <= MIXED_SHARE) == (labels[0] == "prefill")
    generated = sum(len(answer.token_ids) for answer in answers)
    assert marks[-1][1] == (2 if labels[-1] == "decode" else generated)


def test_several_answers_of_a_request_stay_in_order() -> None:
    followed, marks = requests(4, {"a": 2, "b": 2})
    for name in "ba":
        followed.take([Output(name, [Answer([ord(name), 1], 1, "length")])], 11.0)
        followed.take([Output(name, [Answer([ord(name), 0], 0, "length")])], 12.0)
    answers = followed.finish()
    assert [answer.token_ids for answer in answers] == [(97, 0), (97, 1), (98, 0), (98, 1)]
    assert marks == [("generate", 8)]


def test_an_answer_that_ends_at_once_still_begins() -> None:
    """vLLM may report the end in an output of its own, without a token."""
    followed, marks = requests(4, {"a": 1})
    followed.take([Output("a", [Answer([3])])], 11.0)
    followed.take([Output("a", [Answer([], finish_reason="stop")])], 12.0)
    (answer,) = followed.finish()
    assert (answer.token_ids, answer.end) == ((3,), 12.0)
    assert marks == [("prefill", 4)]


def test_steps_are_taken_until_nothing_is_left() -> None:
    steps = [[], [Output("a", [Answer([1])])], [], [Output("a", [Answer([2], finish_reason="length")])]]
    followed, _ = requests(1, {"a": 1})
    (answer,) = follow(lambda: bool(steps), lambda: steps.pop(0), followed)
    assert answer.token_ids == (1, 2)
    assert answer.start < answer.end
    assert not steps
