"""Which image is used, and what its labels tell."""

from __future__ import annotations

import pytest

from pytest_llem import __version__
from pytest_llem.energy.nvml import Driver
from pytest_llem.results.model import SCHEMA_VERSION
from pytest_llem.runners.docker import images
from pytest_llem.runners.docker.images import Image, check_labels, image_for
from pytest_llem.runners.messages import PROTOCOL_VERSION

LABELS = {
    "org.pytest-llem.protocol": str(PROTOCOL_VERSION),
    "org.pytest-llem.schema": str(SCHEMA_VERSION),
    "org.pytest-llem.cuda": "13.0",
}


def test_a_setting_comes_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "__version__", "3.1.4")
    environment = {"LLEM_IMAGE_VLLM": "mine:2"}
    assert image_for("vllm", {"vllm": "mine:1"}, environment) == Image("mine:1", "setting")
    assert image_for("vllm", {"pytorch": "mine:1"}, environment) == Image("mine:2", "LLEM_IMAGE_VLLM")
    published = "ghcr.io/pytest-llem/pytest-llem/pytorch:3.1.4-cuda13"
    assert image_for("pytorch", {}, environment) == Image(published, "default")


def test_labels_that_fit() -> None:
    assert list(check_labels("image", LABELS, Driver("580.65.06", "13.0"), gpus=True)) == []
    assert list(check_labels("image", LABELS, None, gpus=False)) == []


@pytest.mark.parametrize(
    ("cuda", "driver", "fits"),
    [("13.0", "13.1", True), ("12.8", "13.0", True), ("13.1", "13.0", True), ("13.0", "12.8", False)],
)
def test_a_driver_serves_every_minor_version_of_its_cuda(cuda: str, driver: str, fits: bool) -> None:
    found = list(check_labels("image", {**LABELS, "org.pytest-llem.cuda": cuda}, Driver("550.54", driver), gpus=True))
    assert (found == []) is fits


def test_an_old_driver_is_told_with_both_versions_and_the_one_needed() -> None:
    [(what, fix)] = check_labels("image", LABELS, Driver("550.54.14", "12.4"), gpus=True)
    assert what == "image image needs CUDA 13.0, driver 550.54.14 supports CUDA 12.4"
    assert fix == "update it to 580.65.06 or newer, or use an image for CUDA 12"


def test_other_versions_and_missing_labels() -> None:
    [(what, fix)] = check_labels("image", {**LABELS, "org.pytest-llem.protocol": "99"}, None, gpus=False)
    assert what.startswith(f"image image has worker protocol 99, this pytest-llem {__version__} has")
    assert "rebuild" in fix
    assert len(list(check_labels("image", {}, None, gpus=False))) == 2
