"""A Docker Engine that a test may stop, kill and fill up: a dockerd of its own, with its data in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.client import connect


class PrivateEngine:
    """Started and stopped at will. Needs root and dockerd."""

    def __init__(self, data: Path | None = None) -> None:
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # quicker: an image is copied in and removed again
        self.folder = Path(tempfile.mkdtemp(prefix="llem-engine-", dir=memory))
        self.data = data or self.folder / "data"
        self.host = f"unix://{self.folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def unavailable() -> str | None:
        """Why there can be none here, if so."""
        if os.getuid() != 0:
            return "an engine of one's own needs root"
        return None if shutil.which("dockerd") else "dockerd is not installed"

    def start(self) -> Any:
        """Start it; returns a client."""
        command = ["dockerd", "--host", self.host, "--data-root", self.data, "--exec-root", self.folder / "exec"]
        command += ["--pidfile", self.folder / "pid", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(200):
            with contextlib.suppress(RunnerError):
                return connect({"DOCKER_HOST": self.host})
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; with SIGKILL its containers live on."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)
        # Its containerd dies with it, but where nobody collects the dead, dockerd would take the pid for a living one.
        (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)

    def mounts(self) -> list[str]:
        """What it has mounted for containers: file systems, shared memory, network namespaces."""
        points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [point for point in points if point.startswith(f"{self.folder}/") and point != str(self.data)]

    def remove(self) -> None:
        """Kill it and remove its data."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)
        for mount in (*self.mounts(), str(self.data)):
            subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)
