"""The engine is stopped, killed, restarted or full while an experiment runs."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_llem.errors import RunnerError, WorkerCrashed
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import connect
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings

from .conftest import unavailable
from .engine import PrivateEngine
from .helpers import CANNED, Lab, on_progress, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]
MakeLab = Callable[..., Lab]


@pytest.fixture(scope="module")
def engine(client: Any, base_image: str) -> Iterator[PrivateEngine]:
    """An engine of these tests' own, with the base image."""
    if reason := PrivateEngine.unavailable():
        unavailable(reason)
    own = PrivateEngine()
    own.start().images.load(client.images.get(base_image).save(named=True))
    yield own
    left = own.mounts()
    own.remove()
    assert left == []


def test_a_restart_ends_the_experiment_and_says_why(engine: PrivateEngine, lab: MakeLab) -> None:
    def restart() -> None:
        engine.stop()
        engine.start()

    place = lab(connect({"DOCKER_HOST": engine.host}), engine.host)
    with place.running("busy") as session, pytest.raises(WorkerCrashed, match=r"Docker Engine (was|went)"):
        run(session, on_progress(restart))


def test_a_result_is_not_lost_with_the_engine(engine: PrivateEngine, lab: MakeLab) -> None:
    def kill_and_restart() -> None:
        engine.stop(signal.SIGKILL)
        (place.exchange / "sign").touch()
        time.sleep(1)
        engine.start()

    place = lab(connect({"DOCKER_HOST": engine.host}), engine.host)
    with place.running("result on a sign") as session:
        assert run(session, on_progress(kill_and_restart)) == CANNED


def test_a_crash_while_the_engine_is_away(engine: PrivateEngine, lab: MakeLab) -> None:
    def kill_both() -> None:
        engine.stop(signal.SIGKILL)
        assert session.pid is not None
        subprocess.run(["kill", "-9", str(session.pid)], check=True)
        time.sleep(4)
        engine.start()

    place = lab(connect({"DOCKER_HOST": engine.host}), engine.host)
    with place.running("busy") as session, pytest.raises(WorkerCrashed, match=r"Docker Engine (was|went)"):
        run(session, on_progress(kill_both))


def test_an_engine_without_disk_space(client: Any, lab: MakeLab) -> None:
    if reason := PrivateEngine.unavailable():
        unavailable(reason)
    disk = Path(tempfile.mkdtemp(prefix="llem-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "llem-test", disk], check=True)
    engine = PrivateEngine(data=disk)
    try:
        place = lab(engine.start(), engine.host, images={"pytorch": "local/empty:1"})
        place.client.api.import_image_from_data(_empty_root(), repository="local/empty", tag="1")
        _fill(disk)
        with pytest.raises(RunnerError, match="the disk is full") as caught:
            DockerRunner(place.settings(), {"DOCKER_HOST": engine.host}).start(place.launch("result"))
        assert "docker system df" in str(caught.value.hint)
        place.check_nothing_left()
    finally:
        engine.remove()
        if disk.is_mount():
            subprocess.run(["umount", disk], check=True)
        disk.rmdir()


def _fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def _empty_root() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return archive.getvalue()


def test_no_engine_at_all(make_launch: Callable[..., Launch]) -> None:
    runner = DockerRunner(DockerSettings(), {"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    with pytest.raises(
        RunnerError, match=r"no Docker Engine answers at unix:///nonexistent/docker\.sock: No such file or directory"
    ) as caught:
        runner.preflight(make_launch())
    assert "DOCKER_HOST" in str(caught.value)
