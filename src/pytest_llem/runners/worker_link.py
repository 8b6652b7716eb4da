"""The worker's end of the line to its host: sends, waits for orders, and ends the process when the host is gone."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from pathlib import Path
from typing import NoReturn

from pytest_llem.errors import RunnerError
from pytest_llem.processes import kill, session_members
from pytest_llem.runners.messages import SOCKET_NAME, Kind, Message, decode, encode, socket_address

HOST_LOST = 3  # exit status of a worker that lost its host


class Dismissed(Exception):
    """The host has said ``close``."""


class HostLink:
    """A connection to the host. A thread reads, so that a lost host is noticed in the middle of a long generation."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_address(folder) as address:
                self._socket.connect(address)
        except OSError as error:
            where = folder / SOCKET_NAME
            raise RunnerError(f"{where}: the host cannot be reached: {error.strerror or error}") from error
        self._orders: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._done = False
        threading.Thread(target=self._read, name="llem-host", daemon=True).start()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    message = decode(line)
                    self._orders.put(message)
                    if message["type"] == "close":
                        return  # the host may hang up from here on
        except (OSError, ValueError):
            pass  # a broken line is a lost host, too
        if not self._done:
            _end_without_host()

    def send(self, kind: Kind, **fields: object) -> None:
        """Send one message; without a host there is nothing left to do, so the process ends."""
        try:
            self._socket.sendall(encode(kind, **fields))
        except OSError:
            _end_without_host()

    def part(self) -> None:
        """From here on the host may hang up: all has been said."""
        self._done = True

    def wait(self, kind: Kind) -> Message:
        """The host's next order, which must be of this kind; raises Dismissed when it says ``close`` instead."""
        order = self._orders.get()
        if order["type"] == "close":
            raise Dismissed
        if order["type"] != kind:
            raise RunnerError(f"the host said {order['type']!r} where the worker expected {kind}")
        return order


def _end_without_host() -> NoReturn:
    """End at once, and with it whatever an inference library has started: nobody else is left to do that."""
    own = os.getpid()
    if os.getsid(0) == own:
        kill([pid for pid in session_members(own) if pid != own], signal.SIGKILL)
    os._exit(HOST_LOST)
