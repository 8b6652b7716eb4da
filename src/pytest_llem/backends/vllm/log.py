"""What vLLM's processes log as errors: each of them appends the reason to one file, the first to fail first."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from pytest_llem.backends.vllm.reasons import told_by
from pytest_llem.processes import temporary_prefix

_CONFIGURATION = "VLLM_LOGGING_CONFIG_PATH"


class ReasonFile(logging.Handler):
    """A line for each error: what its exception tells (null: nothing, or it has none), and the message."""

    def __init__(self, path: str) -> None:
        super().__init__(logging.ERROR)
        self._path = Path(path)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info[1] if record.exc_info else None
            line = json.dumps([told_by(error) if error else None, record.getMessage()])
            with self._path.open("a") as file:
                file.write(line + "\n")
        except Exception:  # whatever it is, the process that logs must not suffer from it
            self.handleError(record)


class ErrorLog:
    """Hears of the processes that vLLM starts inside :meth:`listening`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        self._path = Path(self._folder.name, "errors")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Processes that are forked inside inherit where to write, others find it in vLLM's logging configuration."""
        from vllm import envs

        logger, handler, given = logging.getLogger("vllm"), ReasonFile(str(self._path)), os.environ.get(_CONFIGURATION)
        logger.addHandler(handler)
        if envs.VLLM_CONFIGURE_LOGGING:  # else, as the user wishes, a process only tells by how it ends
            os.environ[_CONFIGURATION] = self._configure(given)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            if given is None:
                os.environ.pop(_CONFIGURATION, None)
            else:
                os.environ[_CONFIGURATION] = given

    def _configure(self, given: str | None) -> str:
        """Add the file to the user's logging configuration, or to vLLM's own; returns where the sum is."""
        from vllm.logger import DEFAULT_LOGGING_CONFIG

        content: dict[str, Any] = json.loads(Path(given).read_bytes()) if given else deepcopy(DEFAULT_LOGGING_CONFIG)
        handler = {"class": f"{__name__}.{ReasonFile.__name__}", "path": str(self._path)}
        content.setdefault("handlers", {})["llem"] = handler
        content.setdefault("loggers", {}).setdefault("vllm", {}).setdefault("handlers", []).append("llem")
        path = Path(self._folder.name, "logging.json")
        path.write_text(json.dumps(content))
        return str(path)

    def errors(self) -> list[tuple[str | None, str]]:
        """(reason, message) of each error so far."""
        found: list[tuple[str | None, str]] = []
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            with suppress(ValueError):  # a process may have been killed in the middle of a line
                found.append(tuple(json.loads(line)))
        return found
