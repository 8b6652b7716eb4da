"""SIGTERM, as a scheduler sends it, ends a run of studies as Ctrl-C does: orderly, with what was measured."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Termination:
    """Installed only once there is a study: other test runs keep their own way to end."""

    def __init__(self) -> None:
        self._installed = False

    def like_an_interrupt(self) -> None:
        """From now on SIGTERM raises KeyboardInterrupt, unless somebody has a handler of their own for it."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _interrupt)
            self._installed = True

    def restore(self) -> None:
        """SIGTERM ends the process again."""
        if self._installed:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._installed = False


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")
