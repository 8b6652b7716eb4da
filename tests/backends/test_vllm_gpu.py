"""A real vLLM on a real GPU: what it uses, what following its steps costs, how it fails, and that nothing is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pytest_llem.backends.base import Completion
from pytest_llem.backends.vllm import VllmBackend
from pytest_llem.backends.vllm.engine import LoadedVllm
from pytest_llem.errors import BackendError
from pytest_llem.study.config import ExperimentConfig
from tests.backends.vllm_case import require_vllm

pytestmark = [pytest.mark.gpu, pytest.mark.vllm, pytest.mark.slow]
REQUESTS, INPUT, OUTPUT = 64, 128, 128
PROMPTS = [[(31 * number + 7 * place) % 100000 + 10 for place in range(INPUT)] for number in range(REQUESTS)]


def experiment(**engine: object) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "model": {"id": "shape:llama-1b"},
            "backend": "vllm",
            "max_output_tokens": OUTPUT,
            "measure": {"token_times": True},
            "vllm": {"engine": {"max_model_len": 1024, "gpu_memory_utilization": 0.3} | engine},
        }
    )


@pytest.fixture(scope="module")
def used_before() -> int:
    """Before any engine of this module."""
    import pynvml

    require_vllm()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA GPU: {error}")
    return used_bytes()


@pytest.fixture(scope="module")
def engine(used_before: int) -> Iterator[LoadedVllm]:
    backend = VllmBackend()
    backend.check(experiment())
    loaded = backend.load(experiment(), print)
    assert isinstance(loaded, LoadedVllm)
    yield loaded
    loaded.close()


def run(engine: LoadedVllm, config: ExperimentConfig) -> tuple[list[Completion], list[tuple[str, float]], float]:
    marks: list[tuple[str, float]] = []
    start = time.perf_counter()
    answers = engine.generate(PROMPTS, config, lambda label, units: marks.append((label, units)))
    engine.synchronize()
    return answers, marks, time.perf_counter() - start


def test_it_tells_on_which_gpu_it_is(engine: LoadedVllm) -> None:
    assert engine.facts.device.startswith("cuda")
    assert engine.facts.device_uuids == (gpu_uuid(),)
    assert engine.facts.dtype == "bfloat16"
    assert engine.facts.parameters == 1235814400  # as published for this architecture
    assert engine.facts.weight_bytes == 2 * 1235814400


def test_the_driver_names_its_processes(engine: LoadedVllm) -> None:
    assert set(engine.pids()) & gpu_pids()


def test_peak_memory_lies_between_weights_and_share(engine: LoadedVllm) -> None:
    peak = engine.peak_memory_bytes()
    assert peak is not None
    assert (engine.facts.weight_bytes or 0) < peak < 0.35 * total_bytes()


def test_every_token_is_counted_and_timed(engine: LoadedVllm) -> None:
    run(engine, experiment())
    answers, marks, _ = run(engine, experiment())
    assert [len(answer.token_ids) for answer in answers] == [OUTPUT] * REQUESTS
    for answer in answers:
        assert answer.token_times is not None
        assert answer.first_token == answer.token_times[0]
        assert list(answer.token_times) == sorted(answer.token_times)
        assert answer.start < answer.token_times[0] < answer.token_times[-1] == answer.end
    assert [label for label, _ in marks] == ["prefill", "decode"]
    print("marks", marks)


def test_following_the_steps_takes_no_longer_than_plain_generate(engine: LoadedVllm) -> None:
    from vllm import SamplingParams

    params = SamplingParams(temperature=0.0, max_tokens=OUTPUT, ignore_eos=True, detokenize=False)
    plain, followed = [], []
    for number in range(7):
        inputs = [{"prompt_token_ids": prompt, "cache_salt": f"plain {number}"} for prompt in PROMPTS]
        start = time.perf_counter()
        engine._llm.generate(inputs, params, use_tqdm=False)
        engine.synchronize()
        plain.append(time.perf_counter() - start)
        followed.append(run(engine, experiment())[2])
    ratio = sorted(followed)[3] / sorted(plain)[3]
    print(f"medians of 7: plain {sorted(plain)[3]:.4f} s, followed {sorted(followed)[3]:.4f} s, ratio {ratio:.4f}")
    assert ratio < 1.03


def test_a_killed_engine_is_one_clear_error_and_frees_the_gpu(engine: LoadedVllm, used_before: int) -> None:
    """Last of those that use the shared engine: it ends it."""
    os.kill(min(engine.pids()), signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(BackendError, match="SIGKILL"):
        run(engine, experiment())
    engine.close()
    assert time.monotonic() - begin < 20
    assert engine.pids() == ()
    assert_freed(used_before)


def test_too_little_memory_is_told_in_vllms_words(used_before: int) -> None:
    with pytest.raises(BackendError, match=r"vLLM cannot load shape:llama-1b: .*(memory|KV cache)") as caught:
        VllmBackend().load(experiment(gpu_memory_utilization=0.01, enforce_eager=True), print)
    print(caught.value)
    assert "gpu_memory_utilization" in (caught.value.hint or "")
    assert_freed(used_before)


def test_a_closed_engine_leaves_nothing(used_before: int) -> None:
    loaded = VllmBackend().load(experiment(enforce_eager=True), print)
    assert isinstance(loaded, LoadedVllm)
    answers, _, _ = run(loaded, experiment(enforce_eager=True))
    assert len(answers) == REQUESTS
    begin = time.monotonic()
    loaded.close()
    print(f"closed in {time.monotonic() - begin:.1f} s")
    assert loaded.pids() == ()
    assert_freed(used_before)


def gpu() -> object:
    """NVML's handle of the one GPU that is visible."""
    import pynvml

    return pynvml.nvmlDeviceGetHandleByIndex(0)


def gpu_uuid() -> str:
    import pynvml

    return str(pynvml.nvmlDeviceGetUUID(gpu()))


def gpu_pids() -> set[int]:
    import pynvml

    return {process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu())}


def used_bytes() -> int:
    """Version 2 leaves the driver's own reserve out."""
    import pynvml

    return int(pynvml.nvmlDeviceGetMemoryInfo(gpu(), version=pynvml.nvmlMemory_v2).used)


def total_bytes() -> int:
    import pynvml

    return int(pynvml.nvmlDeviceGetMemoryInfo(gpu(), version=pynvml.nvmlMemory_v2).total)


def assert_freed(before: int) -> None:
    """The driver takes a moment to clean up after a killed process."""
    end = time.monotonic() + 10
    while used_bytes() > before + 2**26 and time.monotonic() < end:
        time.sleep(0.1)
    assert used_bytes() <= before + 2**26
