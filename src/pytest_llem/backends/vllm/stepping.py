"""Requests on their way through vLLM: when each token came, and where prefill ended.

vLLM batches continuously: a step may hold prompt tokens of one request and a new token of another. The time until
every answer has its first token is called prefill only if nearly all tokens that went through the model until then
were prompt tokens; otherwise the phases are not told apart, and the whole is one ``generate``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pytest_llem.backends.base import Completion, Marker

MIXED_SHARE = 0.05  # most generated tokens among those that went through the model during prefill


@dataclass
class _Answer:
    start: float
    token_ids: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    first: float | None = None
    end: float | None = None


class Requests:
    """All requests of one pass, in the order in which they were handed over."""

    def __init__(self, prompt_tokens: int, marker: Marker, *, every_token: bool) -> None:
        self._prompt_tokens = prompt_tokens
        self._marker = marker
        self._every_token = every_token
        self._answers: dict[tuple[str, int], _Answer] = {}
        self._unanswered = 0  # answers without a first token
        self._before_mark: int | None = None  # tokens generated up to the prefill mark; None without one

    def handed_over(self, request_id: str, answers: int, now: float) -> None:
        """A request is about to be given to vLLM, for so many answers."""
        for index in range(answers):
            self._answers[request_id, index] = _Answer(now)
        self._unanswered += answers

    def take(self, outputs: Iterable[Any], now: float) -> None:
        """What a step brought, known at ``now``: vLLM's ``RequestOutput`` for each request, new tokens only."""
        firsts = 0
        for output in outputs:
            for part in output.outputs:
                answer = self._answers[output.request_id, part.index]
                new = part.token_ids
                if new:
                    if answer.first is None:
                        answer.first = now
                        firsts += 1
                    answer.token_ids.extend(new)
                    if self._every_token:
                        answer.times.extend([now] * len(new))
                if part.finish_reason is not None:
                    answer.end = now
        self._unanswered -= firsts
        if firsts and self._unanswered == 0:
            self._all_have_begun()

    def finish(self) -> list[Completion]:
        """Mark what is left to mark; the answers, those of the first request first."""
        total = self._generated()
        if self._before_mark is None:
            self._marker("generate", total)
        elif total > self._before_mark:
            self._marker("decode", total - self._before_mark)
        return [self._completion(answer) for answer in self._answers.values()]

    def _all_have_begun(self) -> None:
        generated = self._generated()
        decoded = generated - len(self._answers)
        if decoded <= MIXED_SHARE * (self._prompt_tokens + decoded):
            self._before_mark = generated
            self._marker("prefill", self._prompt_tokens)

    def _generated(self) -> int:
        return sum(len(answer.token_ids) for answer in self._answers.values())

    def _completion(self, answer: _Answer) -> Completion:
        assert answer.end is not None, "vLLM dropped a request"
        return Completion(
            token_ids=tuple(answer.token_ids),
            start=answer.start,
            end=answer.end,
            first_token=answer.first,
            token_times=tuple(answer.times) if self._every_token else None,
        )


def follow(unfinished: Callable[[], bool], step: Callable[[], Iterable[Any]], requests: Requests) -> list[Completion]:
    """Take vLLM's steps until all requests are answered."""
    while unfinished():
        requests.take(step(), time.monotonic())
    return requests.finish()
