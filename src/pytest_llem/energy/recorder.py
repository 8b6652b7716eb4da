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
from dataclasses import asdict, replace
from pathlib import Path

import pytest_llem.errors
from pytest_llem.energy.meter import Device
from pytest_llem.energy.record_format import Pace
from pytest_llem.energy.recording import Lost, Recording, read_recording
from pytest_llem.errors import MeterError

START_TIMEOUT_S = 60.0  # Zeus and CodeCarbon import for seconds
STOP_TIMEOUT_S = 10.0
READ_S = 0.005  # one read of an H200's energy counter takes 3 to 4 ms, in which the driver launches nothing


class Recorder:
    """Records ``devices`` with the meter called ``meter_name`` into ``folder`` while it is open."""

    def __init__(self, meter_name: str, devices: Sequence[Device], folder: Path, *, pid: int | None = None) -> None:
        kind = meter_name.partition(":")[0]
        self._path, self._log = folder / f"samples-{kind}.jsonl", folder / f"recorder-{kind}.log"
        self._command = [sys.executable, "-P", "-m", "pytest_llem.energy.recorder_process", "--meter", meter_name]
        self._command += ["--devices", json.dumps([asdict(device) for device in devices]), "--file", str(self._path)]
        self._command += [] if pid is None else ["--pid", str(pid)]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: Recording | None = None

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> None:
        """Start the process and wait until it has read every device; raises MeterError with the meter's own reason."""
        here = str(Path(pytest_llem.errors.__file__).parents[1])  # the child finds this very package
        paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Threads for linear algebra spin when they start, beside the measured workload; none is needed here.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # an interrupt at the terminal is the host's to handle
            )
        try:
            self._await_ready(self._process)
        except BaseException:
            self._end()
            raise

    def pace(self, pace: Pace) -> None:
        """How to read from now on: ``dense`` near the edges of a window, ``quiet`` inside it, ``slow`` elsewhere.

        After ``quiet`` the read that was under way has ended, too. A recorder that died is noticed by :meth:`read`.
        """
        self._say(pace)
        if pace == "quiet":
            time.sleep(READ_S)

    def follow(self, pid: int) -> None:
        """The workload's process is ``pid``; for meters that follow processes."""
        self._say(f"follow {pid}")

    def read(self) -> Recording:
        """What has been recorded so far."""
        if self._stopped is not None:
            return self._stopped
        recording = read_recording(self._path)
        code = None if self._process is None else self._process.poll()
        return recording if code is None else _mourn(recording, code)

    def stop(self) -> Recording:
        """End the process and read back all that it wrote, also if it crashed: then ``lost`` says so."""
        if self._stopped is None:
            code = self._end()
            recording = read_recording(self._path)
            self._stopped = recording if recording.ended else _mourn(recording, code)
        return self._stopped

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        answer = b""
        poll = select.poll()  # not select(): that refuses descriptors from 1024 on
        poll.register(process.stdout, select.POLLIN)
        while not answer.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise MeterError(f"the recorder did not start within {START_TIMEOUT_S:.0f} s", hint=self._last_words())
            received = os.read(process.stdout.fileno(), 4096)
            if not received:
                raise MeterError(f"the recorder ended at once, with code {process.wait()}", hint=self._last_words())
            answer += received
        word, _, detail = answer.decode().partition(" ")
        if word == "error":
            reason = json.loads(detail)
            raise MeterError(reason["message"], hint=reason["hint"])

    def _say(self, command: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise MeterError("the recorder is not running", hint="start() comes first")
        with contextlib.suppress(BrokenPipeError, ValueError):  # it died: read() and stop() tell
            self._process.stdin.write(command.encode() + b"\n")

    def _end(self) -> int | None:
        """Its exit code; None if it was never started."""
        if self._process is None:
            return None
        with self._process as process:  # closes its pipes
            self._say("stop")
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.returncode

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"last words: {lines[-1]}" if lines else f"nothing in {self._log}"


def _mourn(recording: Recording, code: int | None) -> Recording:
    """A recording whose recorder did not end as told: lost from its last sample on."""
    lost = Lost(None, recording.last_time(), f"the recorder ended early, with code {code}")
    return recording if recording.lost is not None else replace(recording, lost=lost)
