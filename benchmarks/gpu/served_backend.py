"""vLLM with a batch size that is fixed in the code, as in a user's own server; ``gates.sh`` changes it.

To the study the experiment stays the same, as it does when a pull request changes such a line. vLLM, because its CUDA
graphs do not wait for the CPU, so that what is seen is the change and not the host's mood.
"""

from __future__ import annotations

import os

from pytest_llem.backends.base import Engine, Say
from pytest_llem.backends.vllm.backend import VllmBackend
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.vllm import VllmConfig, VllmEngine

ENGINE = VllmEngine(
    max_num_seqs=int(os.environ.get("SERVED_BATCH", "64")), max_model_len=1024, gpu_memory_utilization=0.3
)


class ServedBackend(VllmBackend):
    name = "served"

    def load(self, config: ExperimentConfig, say: Say) -> Engine:
        return super().load(config.model_copy(update={"backend": "vllm", "vllm": VllmConfig(engine=ENGINE)}), say)
