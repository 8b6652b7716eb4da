"""Every way in which a worker's container can end, against a real engine; the `lab` checks that nothing is left."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_llem.errors import ExperimentFailed, RunnerError, WorkerCrashed, WorkerTimeout

from .helpers import CANNED, Lab, on_progress, run

pytestmark = pytest.mark.docker
MakeLab = Callable[..., Lab]


def test_a_result_comes_back_and_belongs_to_the_caller(lab: MakeLab) -> None:
    place = lab()
    with place.running("result") as session:
        assert run(session) == CANNED
        assert place.containers() != []
    result = place.exchange / "result-1.json"
    assert (result.stat().st_uid, result.stat().st_gid) == (os.getuid(), os.getgid())
    assert result.stat().st_mode & stat.S_IRUSR


def test_a_worker_that_crashes_after_its_result_has_a_result(lab: MakeLab) -> None:
    with lab().running("result then crash") as session:
        assert run(session) == CANNED


def test_a_crash_is_told_with_exit_status_and_last_words(lab: MakeLab) -> None:
    with lab().running("crash") as session, pytest.raises(WorkerCrashed) as caught:
        run(session)
    assert "exit status 7" in str(caught.value)
    assert "the last words of a worker" in str(caught.value)


def test_a_reported_error_keeps_its_type_and_hint(lab: MakeLab) -> None:
    with lab().running("error") as session, pytest.raises(ExperimentFailed) as caught:
        run(session)
    assert (caught.value.error_type, caught.value.hint) == ("BackendError", "name another")


def test_the_time_limit(lab: MakeLab) -> None:
    with lab().running("busy") as session, pytest.raises(WorkerTimeout, match=r"more than 1 s"):
        run(session, experiment_s=1.0)


def test_the_silence_limit(lab: MakeLab) -> None:
    with lab().running("silent") as session, pytest.raises(WorkerTimeout, match=r"said nothing for 0\.5 s"):
        run(session, silence_s=0.5)


def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace_time(lab: MakeLab) -> None:
    place = lab()
    session = place.session("stubborn")
    with pytest.raises(WorkerTimeout):
        run(session, experiment_s=1.0)
    start = time.monotonic()
    session.close(grace_s=0.3)
    assert 0.3 < time.monotonic() - start < 3


def test_a_container_killed_for_memory_is_named_as_such(lab: MakeLab) -> None:
    with lab(memory="64m").running("greedy") as session, pytest.raises(WorkerCrashed) as caught:
        run(session)
    assert "killed for memory (limit: 64 MiB)" in str(caught.value)


def test_a_container_killed_by_hand(lab: MakeLab) -> None:
    place = lab()
    with place.running("busy") as session, pytest.raises(WorkerCrashed, match="SIGKILL"):
        run(session, on_progress(lambda: place.client.containers.get(place.containers()[0].lstrip("/")).kill()))


def test_a_container_removed_by_hand(lab: MakeLab) -> None:
    place = lab()
    with place.running("busy") as session, pytest.raises(WorkerCrashed, match=r"removed|SIGKILL"):
        run(session, on_progress(lambda: place.client.api.remove_container(place.containers()[0], force=True)))


def test_a_missing_image(lab: MakeLab) -> None:
    place = lab(images={"pytorch": "local/no-such-image:1"})
    with place.running("result") as session, pytest.raises(RunnerError, match="the image is missing") as caught:
        run(session)
    assert "docker/build.sh" in str(caught.value.hint)


def test_a_missing_folder(lab: MakeLab) -> None:
    place = lab()
    with (
        place.running("result", read_only=(Path("/no/such/model"),)) as session,
        pytest.raises(RunnerError, match="does not see a folder"),
    ):
        run(session)


def test_an_image_without_the_interpreter(lab: MakeLab) -> None:
    with lab(python="python9").running("result") as session, pytest.raises(WorkerCrashed, match="lacks the program"):
        run(session)


def test_gpus_that_the_engine_cannot_give(lab: MakeLab) -> None:
    with (
        lab().running("result", gpu_uuids=("GPU-00000000-0000-0000-0000-000000000000",)) as session,
        pytest.raises(RunnerError, match=r"cannot give a container the GPU|driver does not know") as caught,
    ):
        run(session)
    assert caught.value.hint is None or "NVIDIA Container Toolkit" in caught.value.hint


@pytest.fixture
def tiny_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A temporary folder on a disk of half a megabyte."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = Path(tempfile.mkdtemp(prefix="llem-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "llem-test", disk], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    yield disk
    subprocess.run(["umount", disk], check=True)
    disk.rmdir()


def test_a_full_disk_is_the_reported_reason(tiny_disk: Path, lab: MakeLab) -> None:
    place = lab()
    with place.running("fill") as session, pytest.raises(ExperimentFailed, match="No space left on device"):
        run(session)
    assert place.folder.is_relative_to(tiny_disk)


def test_a_long_log_keeps_its_beginning_and_its_end(lab: MakeLab) -> None:
    place = lab()
    with place.running("chatty") as session:
        run(session)
    text = place.log.read_text()
    assert text.startswith("line 0 ")
    assert "bytes left out" in text
    assert "line 199999 " in text[-200:]
    assert len(text) < 9 << 20
