"""Why vLLM failed: the one line that tells, out of chained exceptions and of what its processes logged."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence

_POINTS_ELSEWHERE = re.compile(r"root cause|stack trace|background process", re.IGNORECASE)
_LINES = 3  # of a message that has several
_HINTS = (
    (
        r"out of memory|No available memory|Free memory on device|KV cache is needed|max seq len",
        "change vllm.engine.gpu_memory_utilization, max_model_len or max_num_seqs, or choose a smaller dtype",
    ),
    (r"SIGKILL", "the kernel may have ended it for lack of memory: see `dmesg`"),
    (r"unexpected keyword argument", "`extra` takes only names that this version of vLLM knows"),
    (r"InvalidCxxCompiler", "install a C++ compiler, or set TORCHDYNAMO_DISABLE=1"),
)


def reason(
    error: BaseException,
    logged: Sequence[tuple[str | None, str]],
    exits: Iterable[tuple[int | None, int | None]] = (),
) -> str:
    """``error`` itself where it tells; else the first error in the log; else how the engine's processes ended.

    ``logged``: what :class:`.log.ErrorLog` has heard. ``exits``: (process id, exit status) of each; a negative status
    is a signal's number, None means it runs.
    """
    told = [told_by(error), *(why for why, _ in logged), *map(_ended, exits), *(message for _, message in logged)]
    return next(filter(None, told), f"{type(error).__name__}: {error}")


def hint(text: str) -> str | None:
    """What to do about it, where that is known."""
    return next((advice for pattern, advice in _HINTS if re.search(pattern, text, re.IGNORECASE)), None)


def told_by(error: BaseException) -> str | None:
    """The outermost exception of the chain that does not just point to the log."""
    current: BaseException | None = error
    while current is not None:
        text = _text(current)
        if text and not _POINTS_ELSEWHERE.search(text):
            return text
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return None


def _text(error: BaseException) -> str:
    details = getattr(error, "errors", None)  # pydantic's, which vLLM checks its options with
    if callable(details):
        messages = [str(one.get("msg", one)) for one in details() if isinstance(one, dict)]
        return "; ".join(message.removeprefix("Value error, ") for message in messages)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:_LINES])}" if lines else ""


def _ended(process: tuple[int | None, int | None]) -> str | None:
    pid, status = process
    if not status:
        return None
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return f"the engine's process {pid} {how}"
