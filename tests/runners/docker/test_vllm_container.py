"""vLLM in a container: as PyTorch in its own, on the CPU, without a network and with 8 GiB of shared memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import present
from .test_real_worker import run_study

pytestmark = [pytest.mark.docker, pytest.mark.vllm, pytest.mark.slow]
STUDY = """
llem: 1
name: both
model: {id: tiny, dtype: float32}
backend: [pytorch, vllm]
dataset: {n: 2, input_tokens: 8}
vllm: {engine: {enforce_eager: true, max_model_len: 512, kv_cache_memory_bytes: 268435456}}
sweep: {max_output_tokens: [8, 16]}
measure: {warmup: 1, repeats: 1, min_window_s: 0.3, token_times: true}
runner: docker
"""


@contextmanager
def watched(client: Any) -> Iterator[list[dict[str, Any]]]:
    """The inspections of the workers' containers that run meanwhile, each once."""
    seen: list[dict[str, Any]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for entry in client.api.containers(filters={"label": "llem.run"}):
                if entry["Labels"]["llem.run"].startswith("both-") and entry["Id"] not in [one["Id"] for one in seen]:
                    seen.append(client.api.inspect_container(entry["Id"]))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_study_in_vllms_image_and_in_pytorchs(client: Any, worker_image: str, tmp_path: Path) -> None:
    image = present(client, os.environ.get("LLEM_IMAGE_VLLM", "no LLEM_IMAGE_VLLM"))
    with watched(client) as containers:
        _, results = run_study(tmp_path / "study", "docker", STUDY, "--llem-isolation=engine")
    assert len(results) == 4
    for tokens in (8, 16):
        pytorch, vllm = (results[f"{backend}-out{tokens}"] for backend in ("pytorch", "vllm"))
        assert vllm["output_hash"] == pytorch["output_hash"]
        assert vllm["output_tokens"] == tokens * vllm["requests"]
        assert vllm["ttft_s"]["n"] == vllm["tpot_s"]["n"] == vllm["requests"]
        assert vllm["itl_s"]["n"] == (tokens - 1) * vllm["requests"]
        assert (vllm["runner"]["runner"], vllm["runner"]["image"]) == ("docker", image)
    assert {one["Config"]["Image"] for one in containers} == {image, worker_image}
    for host in (one["HostConfig"] for one in containers):
        assert (host["ShmSize"], host["NetworkMode"]) == (8 << 30, "none")
    pids = [one["State"]["Pid"] for one in containers]
    assert not [pid for pid in pids if Path("/proc", str(pid)).exists()]
    assert client.api.containers(all=True, filters={"label": "llem.run"}) == []
