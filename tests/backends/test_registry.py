"""Backends are found by name, with and without an installed package."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from pytest_llem.backends import registry
from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.errors import BackendError


def entry_points_are(monkeypatch: pytest.MonkeyPatch, **targets: str) -> None:
    entries = [EntryPoint(name, target, registry.GROUP) for name, target in targets.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == registry.GROUP else [])


def test_built_in_backends_need_no_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points_are(monkeypatch)
    assert isinstance(registry.get_backend("pytorch"), PytorchBackend)


def test_a_third_party_s_backend_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points_are(monkeypatch, mine="pytest_llem.backends.pytorch:PytorchBackend")
    assert isinstance(registry.get_backend("mine"), PytorchBackend)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(BackendError, match="unknown backend 'pytorhc'") as caught:
        registry.get_backend("pytorhc")
    assert caught.value.hint == "did you mean 'pytorch'?"


def test_a_name_like_no_other_gets_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points_are(monkeypatch)
    with pytest.raises(BackendError) as caught:
        registry.get_backend("zzz")
    assert caught.value.hint == "known are: pytorch, vllm"


@pytest.mark.parametrize("target", ["no_such_package:Backend", "pytest_llem.backends.pytorch:NoSuchName"])
def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    entry_points_are(monkeypatch, broken=target)
    with pytest.raises(BackendError, match=f"'broken' cannot be loaded from {target}"):
        registry.get_backend("broken")
