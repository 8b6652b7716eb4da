"""What the surroundings of a study say over it or under it: command line, environment, ini."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Overrides:
    """Values from outside the study file; ``None`` means not said.

    Precedence, for what may be said twice: command line, environment, study file, ini, default. ``runner``, ``seed``
    and ``timeout_s`` come from the command line, what has ``ini`` in its name from the ini file; ``budgets`` are added
    to the study's own. ``environment`` is searched for ``LLEM_RUNNER`` and ``LLEM_RUNNER_<BACKEND>``.
    """

    runner: str | None = None
    runner_ini: str | None = None
    budgets: tuple[str, ...] = ()
    seed: int | None = None
    seed_ini: int | None = None
    timeout_s: float | None = None
    timeout_ini_s: float | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
