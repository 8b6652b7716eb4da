"""A study on a real vLLM, through pytest, the worker and its shared engine, beside the same experiments in PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.vllm_case import require_vllm
from tests.conftest import Studies

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

STUDY = """
    llem: 1
    name: two
    model: {id: tiny, dtype: float32}
    backend: [pytorch, vllm]
    dataset: {source: synthetic, n: 4, input_tokens: 32}
    pytorch: {batch_size: 1}
    vllm: {engine: {enforce_eager: true, max_model_len: 512, kv_cache_memory_bytes: 268435456}}
    measure: {warmup: 1, repeats: 1, min_window_s: 0.3, token_times: true}
    sweep: {max_output_tokens: [8, 16]}
    """


def test_two_backends_give_the_same_answers_and_leave_nothing(
    studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_vllm()
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    before = _engines()
    studies.write(STUDY)
    run = studies.run("--llem-isolation=engine", timeout=280)
    run.assert_outcomes(passed=4)
    results = studies.results()
    assert len(results) == 4
    for tokens in (8, 16):
        pytorch, vllm = (
            next(result for cell, result in results.items() if backend in cell and cell.endswith(f"out{tokens}"))
            for backend in ("pytorch", "vllm")
        )
        assert vllm["output_hash"] == pytorch["output_hash"]
        assert vllm["parameters"] == pytorch["parameters"]
        assert vllm["validity"]["valid"]
        assert vllm["output_tokens"] == tokens * vllm["requests"]
        assert vllm["input_tokens"] == 32 * vllm["requests"]
        assert vllm["ttft_s"]["n"] == vllm["tpot_s"]["n"] == vllm["requests"]
        assert vllm["itl_s"]["n"] == (tokens - 1) * vllm["requests"]
    assert _engines() <= before


def _engines() -> set[str]:
    """Ids of vLLM's processes on this machine; it names them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name.startswith("VLLM::"):
            found.add(path.parent.name)
    return found
