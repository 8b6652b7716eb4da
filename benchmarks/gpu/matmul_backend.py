"""A fixed CUDA workload as a backend: matrix-vector products that stream weights from memory, as decoding does.

One "token" is one pass over 2 GB of bf16 weights, by vectors, so that the board stays below its power limit, where it
would set its own pace. Registered as an entry point by ``repeatability.sh``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pytest_llem.backends.base import Completion, Marker, ModelFacts, Prompts, Say
from pytest_llem.study.config import ExperimentConfig

LAYERS, WIDTH = 16, 8192  # 134 MB each: 30 µs on an H200, several times what launching one takes


class MatmulBackend:
    name = "matmul"

    def check(self, config: ExperimentConfig) -> None:
        """Needs torch with CUDA; loading says so."""

    def engine_key(self, config: ExperimentConfig) -> str:
        return "fixed"

    def tokenize(self, config: ExperimentConfig, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode()) for text in texts]

    def vocabulary(self, config: ExperimentConfig) -> int:
        return 256

    def load(self, config: ExperimentConfig, say: Say) -> MatmulEngine:
        return MatmulEngine()


class MatmulEngine:
    peak_memory_how = "torch's allocator"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._weights = [torch.randn(WIDTH, WIDTH, dtype=torch.bfloat16, device="cuda") for _ in range(LAYERS)]
        self._x = torch.randn(WIDTH, dtype=torch.bfloat16, device="cuda")
        self.facts = ModelFacts(
            name="matmul",
            random_weights=True,
            dtype="bfloat16",
            device="cuda:0",
            device_uuids=(),
            parameters=LAYERS * WIDTH * WIDTH,
            active_parameters=LAYERS * WIDTH * WIDTH,
            weight_bytes=2 * LAYERS * WIDTH * WIDTH,
            kv_bytes_per_token=0,
            flops_per_token=2.0 * LAYERS * WIDTH * WIDTH,
        )

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        start = time.monotonic()
        for _ in range(config.max_output_tokens):
            for weight in self._weights:
                self._torch.mv(weight, self._x)
        self.synchronize()
        end = time.monotonic()
        marker("generate", config.max_output_tokens * len(prompts))
        ids = tuple(range(config.max_output_tokens))
        return [Completion(token_ids=ids, start=start, end=end) for _ in prompts]

    def synchronize(self) -> None:
        self._torch.cuda.synchronize()

    def peak_memory_bytes(self) -> int | None:
        return int(self._torch.cuda.max_memory_allocated())

    def close(self) -> None:
        self._weights.clear()
