"""A library's exceptions as BackendError: its own reason, in one line, and what to do where that is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_llem.errors import BackendError, LlemError

_MEMORY_HINT = (
    "lower the batch size, dataset.input_tokens or max_output_tokens, or choose a smaller dtype or a quantisation"
)


@contextmanager
def refusals(doing: str, hint: str | None = None) -> Iterator[None]:
    """Whatever a library raises inside becomes a BackendError "``doing``: its reason"; an LlemError passes through."""
    try:
        yield
    except LlemError:
        raise
    except Exception as error:
        hint = _MEMORY_HINT if type(error).__name__ == "OutOfMemoryError" else hint
        raise BackendError(f"{doing}: {_reason(error)}", hint=hint) from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}" if lines else type(error).__name__
