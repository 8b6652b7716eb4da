"""The environment snapshot: what it holds, what its hash depends on, what it must never hold."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from pytest_llem.energy.environment import detect_container, git_state, library_versions, snapshot
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]
SECRETS = {
    "HF_TOKEN": "hf_abcdefgh",
    "HUGGING_FACE_HUB_TOKEN": "hf_ijklmnop",
    "AWS_SECRET_ACCESS_KEY": "aws_qrstuvwx",
    "MY_PASSWORD": "opensesame",
}


def test_no_secret_is_ever_in_it(monkeypatch: pytest.MonkeyPatch, fake_nvml: Install, tmp_path: Path) -> None:
    fake_nvml(FakeGpu())
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    text = json.dumps(snapshot(tmp_path).plain())
    assert '"CUDA_VISIBLE_DEVICES": "0"' in text
    for name, value in SECRETS.items():
        assert name not in text
        assert value not in text


def test_gpus_and_driver(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a"))
    found = snapshot()
    assert found.driver is not None
    assert (found.driver.version, found.driver.cuda) == ("580.159", "13.0")
    (gpu,) = found.gpus
    assert (gpu["uuid"], gpu["vbios"], gpu["power_limit_w"], gpu["ecc"]) == ("GPU-a", "96.00.A5.00.01", 700.0, True)
    assert (gpu["max_sm_clock_hz"], gpu["persistence_mode"]) == (1.98e9, True)


def test_a_machine_without_gpu_has_a_host() -> None:
    found = snapshot()
    host = found.plain()["host"]
    assert isinstance(host, dict)
    assert host["kernel"]
    assert host["memory_bytes"] > 1e8
    assert host["cpu_count"] >= 1
    assert found.git is None


def test_versions_come_without_importing() -> None:
    versions = library_versions()
    assert versions["pytest"] == metadata.version("pytest")
    assert "vllm-that-never-was" not in versions


def test_a_worker_s_versions_go_over_the_host_s() -> None:
    assert snapshot(worker_versions={"pytest": "0.0.1", "vllm": "9"}).versions["pytest"] == "0.0.1"


def test_the_hash_depends_on_what_matters_for_energy(fake_nvml: Install) -> None:
    fake = fake_nvml(FakeGpu(uuid="GPU-a"))
    first = snapshot()
    assert first.hash() == snapshot().hash() == first.plain()["environment_hash"]
    fake.gpus[0].uuid, fake.gpus[0].temperature_c = "GPU-b", 80
    assert snapshot().hash() == first.hash()
    fake.gpus[0].limit_w = 500.0
    assert snapshot().hash() != first.hash()
    assert snapshot(worker_versions={"torch": "1"}).hash() != snapshot(worker_versions={"torch": "2"}).hash()
    assert replace(first, variables={"CUDA_VISIBLE_DEVICES": "1"}).hash() == first.hash()


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", "kubernetes"),
        ("proc/1/cgroup", "12:cpu:/docker/abc\n", "docker"),
        ("proc/1/cgroup", "0::/init.scope\n", None),
    ],
)
def test_containers_are_known_by_their_signs(tmp_path: Path, file: str, content: str, kind: str | None) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert detect_container(tmp_path) == kind


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_clean_and_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "study.yaml").write_text("a: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "v1-dirty")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x").write_text("untracked files are no change of the source")
    state = git_state(tmp_path / "results")
    assert state is not None
    assert state == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "study.yaml").write_text("a: 2\n")
    changed = git_state(tmp_path)
    assert changed == {**state, "dirty": True}


def test_no_repository_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "nowhere") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__).parent) is None
