"""The host's end of the line to a worker: a Unix socket in the exchange folder, one JSON object a line."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from pathlib import Path

from pytest_llem.errors import RunnerError
from pytest_llem.runners.messages import SOCKET_NAME, Kind, Message, decode, encode, socket_address

_MAX_LINE = 1 << 26


class Channel:
    """Listens, accepts one worker, sends and receives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SOCKET_NAME
        self.last_heard = time.monotonic()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._peer: socket.socket | None = None
        self._buffer = b""
        try:
            with socket_address(folder) as address:
                self._listener.bind(address)
        except OSError as error:
            self._listener.close()
            raise RunnerError(f"{self.path}: no socket can be made there: {error}", hint="set TMPDIR") from error
        self.path.chmod(0o600)
        self._listener.listen(1)

    @property
    def connected(self) -> bool:
        """Whether a worker has called."""
        return self._peer is not None

    def send(self, kind: Kind, **fields: object) -> None:
        """Send one message; a worker that is gone is found out by receiving, not by sending."""
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.sendall(encode(kind, **fields))

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None if none has come in time; raises EOFError when the worker hung up."""
        deadline = time.monotonic() + timeout_s
        if self._peer is None:
            if not _readable(self._listener, deadline):
                return None
            self._peer, _ = self._listener.accept()
            self.last_heard = time.monotonic()
        while b"\n" not in self._buffer:
            if not _readable(self._peer, deadline):
                return None
            chunk = b""
            with contextlib.suppress(ConnectionError):
                chunk = self._peer.recv(1 << 16)
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


def _readable(end: socket.socket, deadline: float) -> bool:
    poll = select.poll()  # not select(): that refuses descriptors from 1024 on
    poll.register(end, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
