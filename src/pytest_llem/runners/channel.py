"""The host's end of the line to a worker: a Unix socket in the exchange folder, one JSON object a line."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from types import TracebackType

from pytest_llem.errors import RunnerError
from pytest_llem.runners.messages import Kind, Message, decode, encode

SOCKET_NAME = "llem.sock"
_MAX_LINE = 1 << 26


class Channel:
    """Listens, accepts one worker, sends and receives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SOCKET_NAME
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # by way of the folder's descriptor, since a socket's path has 107 bytes at most
                self._listener.bind(f"/proc/self/fd/{here}/{SOCKET_NAME}")
            finally:
                os.close(here)
        except OSError as error:
            self._listener.close()
            raise RunnerError(f"{self.path}: no socket can be made there: {error}", hint="set TMPDIR") from error
        self.path.chmod(0o600)
        self._listener.listen(1)
        self._peer: socket.socket | None = None
        self._buffer = b""
        self.last_heard = time.monotonic()

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether a worker has called."""
        return self._peer is not None

    def accept(self, timeout_s: float) -> bool:
        """Wait for the worker to call; True once it has."""
        if self._peer is None and select.select([self._listener], [], [], timeout_s)[0]:
            self._peer, _ = self._listener.accept()
            self.last_heard = time.monotonic()
        return self._peer is not None

    def send(self, kind: Kind, **fields: object) -> None:
        """Send one message; a worker that is gone is found out by receiving, not by sending."""
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.sendall(encode(kind, **fields))

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None if none came in time; raises EOFError when the worker has hung up."""
        if self._peer is None:
            raise EOFError
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self._peer], [], [], left)[0]:
                return None
            try:
                chunk = self._peer.recv(1 << 16)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise EOFError
            self._buffer += chunk
            if len(self._buffer) > _MAX_LINE:
                raise RunnerError("the worker sent a line of more than 64 MiB")
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.last_heard = time.monotonic()
        try:
            return decode(line)
        except ValueError as error:
            raise RunnerError(f"the worker sent something that is not its protocol: {error}") from None

    def close(self) -> None:
        """Hang up; the worker ends when it notices."""
        if self._peer is not None:
            self._peer.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)
