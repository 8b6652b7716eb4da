"""Ctrl-C, SIGTERM and SIGKILL of a whole pytest run in the middle of an experiment in a container."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.processes import started_at
from pytest_llem.runners.docker.sweep import sweep_dead_containers
from tests.conftest import load_plugin

from .helpers import SOURCE

NotFound = pytest.importorskip("docker").errors.NotFound
pytestmark = pytest.mark.docker
STUDY = """
llem: 1
name: interrupted
model: tiny
dataset: {n: 1, input_tokens: 4}
measure: {repeats: 1, min_window_s: 0.1}
runner: docker
"""


class Run:
    """A pytest run of a study of its own, in its own process group, with its container in the middle of a warm-up."""

    def __init__(self, client: Any, folder: Path, image: str, program: list[str]) -> None:
        (folder / "study.yaml").write_text(STUDY)
        self.client = client
        self.folder = folder
        self.output = folder / "output.txt"
        environment = {**os.environ, "LLEM_IMAGE_PYTORCH": image, "PYTHONPATH": str(SOURCE)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program, "study.yaml", "-p", "no:cacheprovider", "--llem-lock-dir=locks"],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # a process that is started in the background may inherit SIGINT as ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        self.worker_pid = 0

    def containers(self) -> list[str]:
        runs = [path.name for path in self.folder.glob("llem-results/*")]
        listed = [self.client.api.containers(all=True, filters={"label": f"llem.run={run}"}) for run in runs]
        return [entry["Id"] for entries in listed for entry in entries]

    def await_worker(self) -> None:
        """Until the container's worker is warming up."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            for container in self.containers():
                with contextlib.suppress(NotFound):
                    if b"progress" in self.client.api.logs(container):
                        self.worker_pid = self.client.api.inspect_container(container)["State"]["Pid"]
                        return
            time.sleep(0.1)
        pytest.fail(f"no worker came up:\n{self.output.read_text()}")

    def end(self, limit_s: float = 20) -> int:
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"pytest does not end:\n{self.output.read_text()}")

    def statuses(self) -> list[str]:
        [manifest] = self.folder.glob("llem-results/*/manifest.json")
        return [cell["status"] for cell in json.loads(manifest.read_text())["cells"]]

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


PYTEST = ["-m", "pytest", *load_plugin()]
XDIST = [*PYTEST, "-n", "1"]
LLEM = ["-c", "import sys; from pytest_llem.cli import main; sys.exit(main(sys.argv[1:]))", "run"]


@pytest.fixture
def started(
    client: Any, make_image: Callable[..., str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Run]:
    image = make_image("busy", protocol="1", schema="1", cuda="none")
    run = Run(client, tmp_path, image, getattr(request, "param", PYTEST))
    try:
        run.await_worker()
        yield run
    finally:
        run.kill()
        sweep_dead_containers(client)


def gone(pid: int, limit_s: float = 5) -> bool:
    deadline = time.monotonic() + limit_s
    while started_at(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return started_at(pid) is None


def by(*programs: list[str]) -> pytest.MarkDecorator:
    """Run the test once for each of these programs."""
    names = {id(PYTEST): "pytest", id(XDIST): "xdist", id(LLEM): "llem"}
    return pytest.mark.parametrize("started", programs, indirect=True, ids=[names[id(one)] for one in programs])


@by(PYTEST, XDIST, LLEM)
def test_ctrl_c_once_ends_orderly(started: Run, request: pytest.FixtureRequest) -> None:
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.end() == (130 if "llem" in request.node.name else pytest.ExitCode.INTERRUPTED)
    assert started.containers() == []
    assert gone(started.worker_pid)
    assert started.statuses() == ["interrupted"]


def test_ctrl_c_twice_ends_at_once(started: Run) -> None:
    os.killpg(started.process.pid, signal.SIGINT)
    time.sleep(0.3)
    if started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGINT)
    assert started.end() != 0
    assert started.containers() == []
    assert gone(started.worker_pid)


@by(PYTEST, XDIST)
def test_sigterm_ends_orderly(started: Run) -> None:
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == pytest.ExitCode.INTERRUPTED
    assert started.containers() == []
    assert gone(started.worker_pid)
    assert started.statuses() == ["interrupted"]


def test_what_sigkill_leaves_the_next_run_removes(started: Run, client: Any) -> None:
    os.killpg(started.process.pid, signal.SIGKILL)
    started.end()
    assert gone(started.worker_pid), "a worker that lost its host must end by itself"
    [left] = started.containers()
    name = client.api.inspect_container(left)["Name"].lstrip("/")
    assert name in sweep_dead_containers(client)
    assert started.containers() == []
