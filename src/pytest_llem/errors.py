"""Every error that pytest-llem raises on purpose.

::

    LlemError                   something a user can act on; the message says what, where and what to do
    ├── StudyError              a study file is wrong; carries every mistake of the file
    ├── ValueRefused            a text that should name or measure something does not
    ├── ResultError             a result, manifest or baseline cannot be read or written
    ├── RunChanged              a run cannot be gone on with on another machine or image
    ├── TraceError              a recorded trace cannot be read
    ├── MeterError              a power meter is missing, forbidden or lost
    ├── GpuBusyError            a GPU that should be measured is not free
    ├── RunnerError             a worker or a container could not be started or went wrong
    │   ├── PreflightError      the machine cannot run what was asked for; carries every problem found
    │   ├── WorkerCrashed       the worker ended without a result
    │   ├── WorkerTimeout       the worker outran its time limit or went silent
    │   └── ExperimentFailed    the worker reported a structured error of its own
    ├── Cancelled               the caller of the Python API asked to stop
    ├── BackendError            an inference library refused the experiment
    │   └── MissingDependency   an optional library is not installed; names the extra
    └── DatasetError            prompts cannot be had
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LlemError(Exception):
    """Base of all. ``hint`` is what to do next; it is printed below the message."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """The name of the error's class; of an error in a worker, its name there."""
        return type(self).__name__

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class Problem(NamedTuple):
    """One mistake in a study file: where it is, what is wrong, what to do."""

    file: str
    line: int | None
    key: str | None
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f" {self.key}:" if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}:{key} {self.message}{hint}"


class StudyError(LlemError):
    """A study file that cannot be used; ``problems`` holds every mistake found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ValueRefused(LlemError, ValueError):
    """A text that should name or measure something and does not; pydantic takes it for an error of the field."""


class ResultError(LlemError):
    """A result, manifest or baseline that cannot be read or written."""


class RunChanged(LlemError):
    """A run that is gone on with on another machine, with other libraries, or with another image than before."""


class TraceError(LlemError):
    """A recorded trace that cannot be read."""


class MeterError(LlemError):
    """A power meter that is missing, forbidden or lost."""


class GpuBusyError(LlemError):
    """A GPU that should be measured is used by somebody else."""


class RunnerError(LlemError):
    """A worker or a container that could not be started or went wrong."""


class PreflightError(RunnerError):
    """The machine cannot run what was asked for; ``problems`` are (what, fix) pairs."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        lines = [f"- {what}\n    fix: {fix}" for what, fix in self.problems]
        super().__init__("the preflight found problems:\n" + "\n".join(lines))


class WorkerCrashed(RunnerError):
    """The worker ended without reporting a result."""


class WorkerTimeout(RunnerError):
    """The worker outran its time limit, or said nothing for too long."""


class ExperimentFailed(RunnerError):
    """The worker reported an error of its own; ``error_type`` is the name of its class there."""

    def __init__(self, message: str, *, error_type: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.error_type = error_type

    @property
    def kind(self) -> str:
        return self.error_type


class Cancelled(LlemError):
    """The caller asked to stop."""


class BackendError(LlemError):
    """An inference library that refused the experiment."""


class MissingDependency(BackendError):
    """An optional library that is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed",
            hint=f"pip install 'pytest-llem[{extra}]'",
        )
        self.library = library
        self.extra = extra


class DatasetError(LlemError):
    """Prompts that cannot be had."""
