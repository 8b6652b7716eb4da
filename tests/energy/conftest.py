"""A fake NVML for the tests of everything that reads GPUs."""

from __future__ import annotations

from collections.abc import Callable

import pynvml
import pytest

from tests.energy.fake_nvml import FakeGpu, FakeNvml


@pytest.fixture
def fake_nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    """``fake_nvml(FakeGpu(…), …)`` gives this process those GPUs until the test ends."""

    def install(*gpus: FakeGpu) -> FakeNvml:
        fake = FakeNvml(list(gpus), pynvml)
        fake.install(monkeypatch.setattr)
        return fake

    return install
