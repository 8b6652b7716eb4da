"""The host's side of the recorder: starts the process, tells it when edges are near, reads back what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest_llem.errors
from pytest_llem.energy.meter import Device
from pytest_llem.energy.record_format import Pace, encode_devices
from pytest_llem.energy.recording import Lost, Recording, read_recording
from pytest_llem.errors import MeterError

START_TIMEOUT_S = 60.0  # Zeus and CodeCarbon import for seconds
STOP_TIMEOUT_S = 10.0


class Recorder:
    """Records ``devices`` with the meter called ``meter_name`` into ``folder`` while it is open."""

    def __init__(self, meter_name: str, devices: Sequence[Device], folder: Path, *, pid: int | None = None) -> None:
        self._meter_name = meter_name
        self._devices = tuple(devices)
        kind = meter_name.partition(":")[0]
        self._path = folder / f"samples-{kind}.jsonl"
        self._log = folder / f"recorder-{kind}.log"
        self._pid = pid
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: Recording | None = None

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Start the process and wait until it has read every device; raises MeterError with the meter's own reason."""
        command = [sys.executable, "-P", "-m", "pytest_llem.energy.recorder_process"]
        command += ["--meter", self._meter_name, "--devices", encode_devices(self._devices), "--file", str(self._path)]
        if self._pid is not None:
            command += ["--pid", str(self._pid)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # an interrupt at the terminal is the host's to handle
            )
        try:
            self._await_ready(self._process)
        except BaseException:
            self._end()
            raise

    def pace(self, pace: Pace) -> None:
        """How to read from now on: ``dense`` near the edges of a window, ``quiet`` inside it, ``slow`` elsewhere.

        A recorder that died is noticed by :meth:`read`.
        """
        self._say(pace)

    def dense(self, on: bool) -> None:
        """The pace ``dense``, or else ``slow``."""
        self.pace("dense" if on else "slow")

    def follow(self, pid: int) -> None:
        """The workload's process is ``pid``; for meters that follow processes."""
        self._say(f"follow {pid}")

    def read(self) -> Recording:
        """What has been recorded so far."""
        if self._stopped is not None:
            return self._stopped
        recording = read_recording(self._path)
        code = None if self._process is None else self._process.poll()
        return recording if code is None else self._mourn(recording, code)

    def stop(self) -> Recording:
        """End the process and read back all that it wrote, also if it crashed: then ``lost`` says so."""
        if self._stopped is None:
            code = self._end()
            recording = read_recording(self._path)
            self._stopped = recording if recording.ended else self._mourn(recording, code)
        return self._stopped

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise MeterError(f"the recorder did not start within {START_TIMEOUT_S:.0f} s", hint=self._log_hint())
            received = os.read(process.stdout.fileno(), 4096)
            if not received:
                raise MeterError(f"the recorder ended at once, with code {process.wait()}", hint=self._log_hint())
            answer += received
        word, _, detail = answer.decode().partition(" ")
        if word == "error":
            reason = json.loads(detail)
            raise MeterError(reason["message"], hint=reason["hint"])

    def _say(self, command: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise MeterError("the recorder is not running", hint="start() comes first")
        with contextlib.suppress(BrokenPipeError, ValueError):  # it died: read() and stop() tell
            process.stdin.write(command.encode() + b"\n")
            process.stdin.flush()

    def _end(self) -> int | None:
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            self._say("stop")
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    def _mourn(self, recording: Recording, code: int | None) -> Recording:
        """A recording whose recorder did not end as told: lost from its last sample on."""
        if recording.lost is not None:
            return recording
        return recording.with_lost(Lost(None, recording.last_time(), f"the recorder ended early, with code {code}"))

    def _log_hint(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"last words: {lines[-1]}" if lines else f"nothing in {self._log}"


def _environment() -> dict[str, str]:
    """The child finds this very package, wherever the host found it."""
    here = str(Path(pytest_llem.errors.__file__).parents[1])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
