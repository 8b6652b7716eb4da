"""A worker that loses its host ends at once, and nothing that it started stays behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_llem.errors import RunnerError
from pytest_llem.processes import started_at
from pytest_llem.runners.messages import socket_address
from pytest_llem.runners.worker_link import HOST_LOST, HostLink

WORKER = """
import pathlib, subprocess, sys, time
from pytest_llem.runners.worker_link import HostLink
link = HostLink(pathlib.Path(sys.argv[1]))
child = subprocess.Popen(["sleep", "60"], process_group=0)  # as an inference engine's processes may be
link.send("hello", child=child.pid)
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""


@pytest.mark.parametrize("farewell", [b"", b"not our protocol\n"])
def test_a_busy_worker_and_its_children_end_with_the_host(tmp_path: Path, farewell: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        with socket_address(tmp_path) as address:
            listener.bind(address)
        listener.listen(1)
        listener.settimeout(20)
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        connection, _ = listener.accept()
    try:
        hello = connection.makefile("rb").readline()
        child = int(hello.split(b":")[-1].rstrip(b"}\n"))
        assert started_at(child) is not None
        if farewell:
            connection.sendall(farewell)
        else:
            connection.shutdown(socket.SHUT_RDWR)
        assert worker.wait(5) == HOST_LOST
        deadline = time.monotonic() + 5
        while started_at(child) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert started_at(child) is None
    finally:
        connection.close()
        worker.kill()
        worker.wait()


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"llem\.sock: the host cannot be reached: No such file"):
        HostLink(tmp_path)
