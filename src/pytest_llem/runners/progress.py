"""What a running experiment tells whoever looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step. ``phase``: waiting, gap, starting, loading, warmup, window, finishing, again."""

    cell_id: str
    phase: str
    text: str = ""
    done: int = 0
    total: int = 0


Listener = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """A listener for when nobody looks."""
