"""A fake NVML for the tests of everything that reads GPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from tests.energy.fake_nvml import FakeGpu, FakeNvml

ShadowGpus = Callable[..., dict[str, str]]


@pytest.fixture
def fake_nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    """``fake_nvml(FakeGpu(…), …)`` gives this process those GPUs until the test ends."""

    def install(*gpus: FakeGpu) -> FakeNvml:
        fake = FakeNvml(list(gpus), pynvml)
        fake.install(monkeypatch.setattr)
        return fake

    return install


@pytest.fixture
def shadow_gpus(monkeypatch: pytest.MonkeyPatch) -> ShadowGpus:
    """``shadow_gpus(FakeGpu(…), …)`` gives those GPUs to processes that this one starts; returns their environment."""

    def install(*gpus: FakeGpu) -> dict[str, str]:
        environment = FakeNvml(list(gpus), pynvml).environment(str(Path(__file__).parent))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return environment

    return install
