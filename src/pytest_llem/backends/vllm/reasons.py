"""Why vLLM failed: the one line that tells, out of chained exceptions and several processes' logs."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile

_ERROR = re.compile(r"^(?P<process>\([^)]*\) )?ERROR \S+ \S+ (?P<where>\[[^\]]*\]) ?(?P<text>.*)$")
_EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?P<name>[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout)): (?P<text>.*)$"
)
_POINTS_ELSEWHERE = re.compile(r"root cause|stack trace|background process", re.IGNORECASE)
_LINES = 3  # of a message that has several

HINTS = (
    (
        re.compile(
            r"out of memory|No available memory|Free memory on device|KV cache is needed|max seq len", re.IGNORECASE
        ),
        "change vllm.engine.gpu_memory_utilization, max_model_len or max_num_seqs, or choose a smaller dtype",
    ),
    (re.compile(r"SIGKILL"), "the kernel may have ended it for lack of memory: see `dmesg`"),
    (re.compile(r"unexpected keyword argument"), "`extra` takes only names that this version of vLLM knows"),
    (re.compile(r"InvalidCxxCompiler"), "install a C++ compiler, or set TORCHDYNAMO_DISABLE=1"),
)


def reason(error: BaseException, log: Iterable[str], exits: Sequence[tuple[int | None, int | None]] = ()) -> str:
    """``error`` itself where it tells; else the first error in the log; else how the engine's processes ended.

    ``exits``: (process id, exit status) of each; a negative status is a signal's number, None means it runs.
    """
    own = _own_reason(error)
    if own is not None:
        return own
    return _logged_reason(log) or _ended_reason(exits) or _first_logged(log) or f"{type(error).__name__}: {error}"


def hint(text: str) -> str | None:
    """What to do about it, where that is known."""
    return next((advice for pattern, advice in HINTS if pattern.search(text)), None)


def _own_reason(error: BaseException) -> str | None:
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
        messages = [
            str(one.get("msg", one)).removeprefix("Value error, ") for one in details() if isinstance(one, dict)
        ]
        return "; ".join(messages)
    return f"{type(error).__name__}: {_joined(str(error).splitlines())}" if str(error) else ""


def _logged_reason(log: Iterable[str]) -> str | None:
    """The last exception of the first traceback: what came later came of it, what stands above it led to it."""
    for _, block in groupby(_errors(log), key=lambda error: error[0]):
        lines = [text for _, text in block]
        for number in reversed(range(len(lines))):
            found = _EXCEPTION.match(lines[number])
            if found and not _POINTS_ELSEWHERE.search(found["text"]):
                more = takewhile(lambda line: not _EXCEPTION.match(line), lines[number + 1 :])
                return f"{found['name']}: {_joined([found['text'], *more])}"
    return None


def _first_logged(log: Iterable[str]) -> str | None:
    return next((text for _, text in _errors(log) if text.strip()), None)


def _errors(log: Iterable[str]) -> Iterable[tuple[str, str]]:
    """(who said it and where in the code, text) of every line logged as an error."""
    for line in log:
        found = _ERROR.match(line)
        if found:
            yield f"{found['process']}{found['where']}", found["text"]


def _ended_reason(exits: Sequence[tuple[int | None, int | None]]) -> str | None:
    for pid, status in exits:
        if status is not None and status != 0:
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            return f"the engine's process {pid} {how}"
    return None


def _joined(lines: Sequence[str]) -> str:
    return " ".join([line.strip() for line in lines if line.strip()][:_LINES])
