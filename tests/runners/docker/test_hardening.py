"""What a worker finds inside its container, and what others can find out about it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.runners.docker.runner import DockerRunner

from .helpers import Lab, run

pytestmark = pytest.mark.docker
MakeLab = Callable[..., Lab]
TOKEN = "secret-in-a-test"


@pytest.fixture
def around(lab: MakeLab) -> dict[str, object]:
    place = lab()
    place.before = time.monotonic()
    with place.running("look") as session:
        run(session)
    place.after = time.monotonic()
    found = json.loads((place.exchange / "around.json").read_text())
    return {**found, "before": place.before, "after": place.after, "exchange": str(place.exchange)}


def test_inside(around: dict[str, object]) -> None:
    assert around["uid"] == (os.getuid() or 65534)
    assert around["capabilities"] == [0, 0, 0]
    assert around["no_new_privileges"] == "1"
    assert around["interfaces"] == ["lo"]
    assert around["shm_bytes"] == 64 << 20
    assert around["writable"] == ["/tmp", "/dev/shm", around["exchange"]]
    assert around["cwd"] == around["exchange"]
    assert str(around["parent"]) in ("docker-init", "tini")
    assert not around["token"]


def test_marks_are_of_the_hosts_clock(around: dict[str, float]) -> None:
    assert around["before"] < around["monotonic"] < around["after"]


def test_name_and_labels(lab: MakeLab) -> None:
    place = lab()
    with place.running("result") as session:
        run(session)
        [name] = place.containers()
        labels = place.client.containers.get(name.lstrip("/")).labels
    assert name.startswith(f"/llem-{place.run_id}-standin-c1-")
    assert labels["llem.run"] == place.run_id
    assert labels["llem.cell"] == "standin-c1"
    assert labels["llem.pid"].split()[0] == str(os.getpid())


def test_the_pid_is_the_root_of_the_workers_process_tree(lab: MakeLab) -> None:
    place = lab()
    with place.running("result") as session:
        run(session)
        [pid] = place.recorder.followed
        assert session.pid == pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    assert any(b"standin" in command for command in commands)


def test_the_token_reaches_the_worker_and_nobody_else(lab: MakeLab, capfd: pytest.CaptureFixture[str]) -> None:
    place = lab()
    environment = {"HF_TOKEN": TOKEN}
    with place.running("look", environment=environment) as session:
        run(session)
        [name] = place.containers()
        inspected = json.dumps(place.client.api.inspect_container(name.lstrip("/")))
        logged = place.client.api.logs(name.lstrip("/")).decode()
    assert json.loads((place.exchange / "around.json").read_text())["token"] is True
    files = [path.read_bytes() for path in place.folder.rglob("*") if path.is_file()]
    assert files
    assert not any(TOKEN.encode() in content for content in files)
    assert TOKEN not in inspected + logged + "".join(capfd.readouterr())


def test_an_error_message_does_not_hold_the_token(lab: MakeLab) -> None:
    place = lab(images={"pytorch": "local/no-such-image:1"})
    environment = {"HF_TOKEN": TOKEN}
    with place.running("look", environment=environment) as session, pytest.raises(Exception, match="missing") as caught:
        run(session)
    assert TOKEN not in f"{caught.value!r}{caught.value}"


def test_the_hubs_cache_is_shared_read_only_and_offline(lab: MakeLab, tmp_path: Path) -> None:
    place = lab()
    cache = tmp_path / "hub"
    cache.mkdir()
    with place.running("result", environment={"HF_HUB_CACHE": str(cache)}) as session:
        run(session)
        found = place.client.api.inspect_container(place.containers()[0].lstrip("/"))
    [mount] = [mount for mount in found["Mounts"] if mount["Destination"] == str(cache)]
    assert mount["RW"] is False
    assert {f"HF_HUB_CACHE={cache}", "HF_HUB_OFFLINE=1"} <= set(found["Config"]["Env"])


def test_what_a_result_says_of_the_runner(lab: MakeLab) -> None:
    place = lab()
    runner = DockerRunner(place.settings(), {"DOCKER_HOST": place.host})
    worker = runner.start(place.launch("crash"))
    worker.release()
    about = runner.describe()
    assert about["runner"] == "docker"
    assert about["image_digest"].startswith("sha256:")
    assert (about["gpu_access"], about["image_decided_by"]) == ("none", "setting")
    assert dict(runner.origin("pytorch")).items() <= dict(about).items()


def test_starting_costs_little(lab: MakeLab) -> None:
    """Container start to the worker's own first line of code; a generous bound for a loaded machine."""
    place = lab()
    start = time.monotonic()
    with place.running("look") as session:
        run(session)
    arrived = json.loads((place.exchange / "around.json").read_text())["monotonic"]
    assert arrived - start < 3.0
