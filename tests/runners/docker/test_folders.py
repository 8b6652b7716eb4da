"""What a container sees of the host, and as whom."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.folders import container_user, hub_token, lend, shared_folders

from .test_gpus import engine

MakeLaunch = Callable[..., Launch]


def test_the_hubs_token(tmp_path: Path) -> None:
    assert hub_token({"HF_HOME": str(tmp_path)}) is None
    (tmp_path / "token").write_text("from-a-file\n")
    assert hub_token({"HF_HOME": str(tmp_path)}) == "from-a-file"
    assert hub_token({"HF_HOME": str(tmp_path), "HF_TOKEN": "from-the-environment"}) == "from-the-environment"


def test_folders_are_mounted_once_and_read_only_but_for_the_exchange(make_launch: MakeLaunch, tmp_path: Path) -> None:
    model, cache = tmp_path / "model", tmp_path / "cache"
    launch = make_launch(read_only=(model, model), base_folder=str(tmp_path / "study"))
    assert shared_folders(launch, cache) == {tmp_path: True, model: False, tmp_path / "study": False}
    cache.mkdir()
    assert shared_folders(launch, cache)[cache] is False


def test_the_cache_is_made_and_writable_where_a_download_is_needed(make_launch: MakeLaunch, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    assert shared_folders(make_launch(network=True), cache)[cache] is True
    assert cache.is_dir()


@pytest.mark.parametrize("folder", ["/", "/tmp", "/usr"])
def test_a_study_never_hides_the_images_own_folders(make_launch: MakeLaunch, tmp_path: Path, folder: str) -> None:
    launch = make_launch(base_folder=folder, read_only=(Path(folder),))
    assert shared_folders(launch, tmp_path / "none") == {tmp_path: True}


def test_another_user_than_root_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 99)
    assert container_user(engine(), {tmp_path: True}) == "1234:99"
    assert container_user(replace(engine(), rootless=True), {tmp_path: True}) == "0:0"


def test_root_becomes_nobody_where_nobody_can_do_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    exchange, model = {tmp_path: True}, tmp_path / "model"
    model.mkdir(mode=0o755)
    assert container_user(engine(), exchange | {model: False}) == "65534:65534"
    assert container_user(engine(), exchange | {model: True}) == "0:0"
    model.chmod(0o700)
    assert container_user(engine(), exchange | {model: False}) == "0:0"


def test_lending(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    lend(tmp_path, "65534:65534")
    assert {path.lstat().st_uid for path in (tmp_path, *tmp_path.iterdir())} == {65534}
    assert Path("/etc/passwd").stat().st_uid == 0
