"""When each token came: a stopping criterion that never stops anything, but looks at the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class StepClock:
    """Called by ``generate`` after every step of one batch.

    The device is waited for after the first step, which ends prefill, and after each further one only if
    ``every_step``. ``generate`` itself waits for the device right after its criteria, so this wait delays nothing.
    With drafted tokens (``drafts``) the criteria are asked twice a step, first about the draft: that call is ignored.
    """

    def __init__(
        self, synchronize: Callable[[], None], on_first: Callable[[], None], *, every_step: bool, drafts: bool
    ) -> None:
        self._synchronize = synchronize
        self._on_first = on_first
        self._every_step = every_step
        self._drafts = drafts
        self._calls = 0
        self._never: torch.Tensor | None = None
        self._steps: list[tuple[int, float]] = []  # length of the sequences after the step, time
        self.first: float | None = None

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        if self._never is None:
            self._never = input_ids[:, 0] < 0
        self._calls += 1
        if self._drafts and self._calls % 2:
            return self._never
        if self.first is None:
            self._synchronize()
            self.first = time.monotonic()
            self._steps.append((input_ids.shape[1], self.first))
            self._on_first()
        elif self._every_step:
            self._synchronize()
            self._steps.append((input_ids.shape[1], time.monotonic()))
        return self._never

    def token_times(self, prompt_length: int, tokens: int) -> tuple[float, ...]:
        """The time of each of the first ``tokens`` generated tokens; tokens of one step share its time."""
        times = []
        steps = iter(self._steps)
        length, when = next(steps)
        for token in range(prompt_length + 1, prompt_length + tokens + 1):
            while length < token:
                length, when = next(steps)
            times.append(when)
        return tuple(times)
