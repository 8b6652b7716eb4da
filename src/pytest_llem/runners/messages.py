"""The words that worker and host exchange while an experiment runs: one JSON object a line over a Unix socket.

The worker is started with ``LLEM_CONFIG_PATH`` naming a job file in the exchange folder. It connects to the socket
beside that file and says ``hello``. From then on:

    worker                                        host
    hello     protocol, pid, versions
    phase     phase="loading", text
    loaded    facts                               go
    phase     phase="warmup"; progress phase, done, total, text
    ready     window (from 1)                     records densely, waits for idle time before;
                                                  leaves the counter alone;  go
    window    window, start, end                  records densely
      … ready, go, window for each repeat …
    result    file (name in the exchange folder)  idle time after the last window;
                                                  experiment job (name of another job file), or close
    error     error_type, message, hint           (instead of any of the above)

A worker that loses its host ends at once. All times are CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

PROTOCOL_VERSION = 1
CONFIG_VARIABLE = "LLEM_CONFIG_PATH"
SOCKET_NAME = "llem.sock"

Kind = Literal[
    "hello", "phase", "progress", "loaded", "ready", "window", "result", "error", "go", "experiment", "close"
]
Message = dict[str, object]


def encode(kind: Kind, **fields: object) -> bytes:
    """One line."""
    return json.dumps({"type": kind, **fields}, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The object of one line; raises ValueError if it is not one of ours."""
    message = json.loads(line)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError(f"not a message of the worker protocol: {line[:200]!r}")
    return message


@contextmanager
def socket_address(folder: Path) -> Iterator[str]:
    """The address of the socket in an exchange folder: by way of the folder's descriptor, since an address has 107
    bytes at most. Raises OSError."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{here}/{SOCKET_NAME}"
    finally:
        os.close(here)
