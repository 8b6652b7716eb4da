"""The PyTorch backend on a real GPU: weights on the device, its UUID, counts, memory, out of memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_llem.backends.base import Engine
from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.errors import BackendError

from .conftest import experiment, quiet, run

pytestmark = pytest.mark.gpu
LLAMA = {"id": "shape:llama-1b"}
PROMPTS = [[1000 + 100 * row + column for column in range(32)] for row in range(4)]


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")


@pytest.fixture(scope="module")
def llama() -> Iterator[Engine]:
    engine = PytorchBackend().load(experiment(model=LLAMA), quiet)
    yield engine
    engine.close()


def visible_uuids() -> set[str]:
    import pynvml

    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    return {pynvml.nvmlDeviceGetUUID(handle) for handle in handles}


def test_weights_lie_on_the_gpu_that_nvml_knows_by_this_uuid(llama: Engine) -> None:
    import torch

    facts = llama.facts
    assert facts.device == "cuda:0"
    assert facts.dtype == "bfloat16"
    assert len(facts.device_uuids) == 1
    assert set(facts.device_uuids) <= visible_uuids()
    assert torch.cuda.memory_allocated() >= 2 * 1_235_814_400 == facts.weight_bytes


def test_every_answer_is_counted_marked_and_timed(llama: Engine) -> None:
    answers, marks = run(
        llama, PROMPTS, model=LLAMA, max_output_tokens=16, measure={"token_times": True}, pytorch={"batch_size": 4}
    )
    assert [len(answer.token_ids) for answer in answers] == [16] * 4
    assert marks == [("prefill", 128), ("decode", 60)]
    for answer in answers:
        assert answer.token_times is not None
        moments = [answer.start, *answer.token_times, answer.end]
        assert moments == sorted(moments)
        assert answer.first_token == answer.token_times[0]


def test_passes_do_the_same_work(llama: Engine) -> None:
    first, second = (run(llama, PROMPTS, model=LLAMA, pytorch={"batch_size": 2})[0] for _ in range(2))
    assert [answer.token_ids for answer in first] == [answer.token_ids for answer in second]


def test_peak_memory_covers_weights_and_cache(llama: Engine) -> None:
    run(llama, PROMPTS, model=LLAMA, pytorch={"batch_size": 4})
    peak = llama.peak_memory_bytes()
    assert peak is not None
    assert llama.facts.weight_bytes is not None
    assert llama.facts.weight_bytes < peak < 3 * llama.facts.weight_bytes
    assert "max_memory_reserved" in llama.peak_memory_how


def test_a_static_cache_and_a_compiled_forward_run(llama: Engine) -> None:
    section = {"batch_size": 4, "cache_implementation": "static", "torch_compile": True}
    engine = PytorchBackend().load(experiment(model=LLAMA, pytorch=section), quiet)
    answers, _ = run(engine, PROMPTS, model=LLAMA, max_output_tokens=8, pytorch=section)
    engine.close()
    assert [len(answer.token_ids) for answer in answers] == [8] * 4


def test_tiny_is_loaded_from_its_file_onto_the_gpu() -> None:
    engine = PytorchBackend().load(experiment(), quiet)
    prompts = [[token % 500 for token in prompt] for prompt in PROMPTS]  # tiny's vocabulary is small
    answers, _ = run(engine, prompts, pytorch={"batch_size": 4, "num_beams": 2})
    assert (engine.facts.device, len(engine.facts.device_uuids)) == ("cuda:0", 1)
    assert [len(answer.token_ids) for answer in answers] == [32] * 4
    engine.close()


def test_weights_outside_the_metered_gpu_are_refused() -> None:
    split = {"model.embed_tokens": "cpu", "model.layers": 0, "model.norm": 0, "model.rotary_emb": 0, "lm_head": 0}
    with pytest.raises(BackendError, match="not on the cuda device that is metered"):
        PytorchBackend().load(experiment(pytorch={"device_map": split}), quiet)


def test_a_full_gpu_says_what_to_do(llama: Engine) -> None:
    import torch

    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(max(0, free - (1 << 30)), dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(BackendError, match="out of memory") as caught:
            run(llama, [[7] * 4096] * 256, model=LLAMA, max_output_tokens=2, pytorch={"batch_size": 256})
    finally:
        del hog
        torch.cuda.empty_cache()
    assert caught.value.hint is not None
    assert "batch size" in caught.value.hint
