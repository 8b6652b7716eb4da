"""Free and settled GPUs: findings, waits, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_llem.energy import idle
from pytest_llem.energy.gpus import Gpu, list_gpus
from pytest_llem.energy.idle import State, check_idle, state_of, wait_until_idle, wait_until_settled
from pytest_llem.errors import GpuBusyError
from tests.energy.fake_nvml import FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]
MB = 1_000_000


def one(fake_nvml: Install, gpu: FakeGpu) -> tuple[FakeNvml, Gpu]:
    fake = fake_nvml(gpu)
    return fake, list_gpus()[0]


def test_a_clean_gpu_has_no_findings_though_the_driver_keeps_645_mb(fake_nvml: Install) -> None:
    _, gpu = one(fake_nvml, FakeGpu(reserved_bytes=645 * MB))
    assert check_idle(gpu) == []


def test_a_foreign_process_and_its_memory_are_found(fake_nvml: Install) -> None:
    _, gpu = one(fake_nvml, FakeGpu(used_bytes=500 * MB, processes=[(42, 500 * MB)]))
    findings = check_idle(gpu)
    assert [finding.code for finding in findings] == ["foreign_process", "leftover_memory"]
    assert findings[0].message == "GPU 0 is used by process 42 (process-42) with 500 MB"
    assert findings[1].message == "GPU 0 has 500 MB in use already (threshold 100 MB)"
    assert findings[0].gpu == gpu.uuid


def test_memory_without_a_process_is_found(fake_nvml: Install) -> None:
    """In a container the driver may hide the processes of others, but not their memory."""
    _, gpu = one(fake_nvml, FakeGpu(used_bytes=101 * MB))
    assert [finding.code for finding in check_idle(gpu)] == ["leftover_memory"]
    assert check_idle(gpu, threshold_bytes=200 * MB) == []


def test_a_wait_ends_when_the_gpu_is_free(fake_nvml: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "POLL_S", 0.02)
    fake, gpu = one(fake_nvml, FakeGpu(used_bytes=500 * MB))
    timer = threading.Timer(0.15, lambda: setattr(fake.gpus[0], "used_bytes", 0))
    timer.start()
    said: list[str] = []
    waited_s = wait_until_idle([gpu], 5.0, say=said.append)
    timer.join()
    assert 0.1 < waited_s < 2
    assert set(said) == {"waiting: GPU 0 has 500 MB in use already (threshold 100 MB)"}
    assert len(said) > 2, "said in each poll, so that a caller can stop the wait"


def test_a_wait_gives_up_with_the_reason(fake_nvml: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "POLL_S", 0.02)
    _, gpu = one(fake_nvml, FakeGpu(processes=[(42, None)]))
    with pytest.raises(GpuBusyError, match=r"still busy after .* process 42") as caught:
        wait_until_idle([gpu], 0.1)
    assert caught.value.hint is not None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeping moves this clock and takes no time."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(idle, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return now


def test_a_cooling_gpu_is_waited_for_until_it_stands_still(clock: list[float]) -> None:
    def cooling(uuid: str) -> State:
        return max(40.0, 70.0 - 3 * clock[0]), max(80.0, 300.0 - 50 * clock[0])

    wait = wait_until_settled("GPU-a", 60.0, cooling)
    assert wait.settled
    assert wait.temperature_c == 40.0
    assert 12 < wait.waited_s < 15  # 40 °C is reached after 10 s; then three seconds of standing still


def test_power_must_stand_still_too(clock: list[float]) -> None:
    def settling(uuid: str) -> State:
        return 40.0, max(80.0, 300.0 - 20 * clock[0])

    wait = wait_until_settled("GPU-a", 60.0, settling)
    assert wait.settled
    assert 13 < wait.waited_s < 16


def test_the_wait_is_bounded(clock: list[float]) -> None:
    wait = wait_until_settled("GPU-a", 5.0, lambda uuid: (30.0 + 2 * clock[0], None))
    assert not wait.settled
    assert wait.waited_s == pytest.approx(5.0)


def test_a_gpu_that_says_nothing_is_not_waited_for(clock: list[float]) -> None:
    wait = wait_until_settled("GPU-a", 5.0, lambda uuid: (None, None))
    assert (wait.settled, wait.waited_s) == (True, 0.0)


def test_the_state_of_a_gpu(fake_nvml: Install) -> None:
    fake_nvml(FakeGpu(uuid="GPU-a", temperature_c=44, average_w=81.5))
    assert state_of("GPU-a") == (44, 81.5)
