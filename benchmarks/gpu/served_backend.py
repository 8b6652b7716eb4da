"""Transformers with a batch size that is fixed in the code, as in a user's own server; ``gates.sh`` changes it.

To the study the experiment stays the same, as it does when a pull request changes such a line.
"""

from __future__ import annotations

import os

from pytest_llem.backends.base import Completion, Engine, Marker, Prompts, Say
from pytest_llem.backends.pytorch import PytorchBackend, PytorchEngine
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.pytorch import PytorchConfig

BATCH_SIZE = int(os.environ.get("SERVED_BATCH", "64"))


class ServedBackend(PytorchBackend):
    name = "served"

    def load(self, config: ExperimentConfig, say: Say) -> Engine:
        engine = super().load(config, say)
        assert isinstance(engine, PytorchEngine)
        return ServedEngine(engine)


class ServedEngine:
    def __init__(self, engine: PytorchEngine) -> None:
        self._engine = engine
        self.facts, self.peak_memory_how = engine.facts, engine.peak_memory_how
        self.synchronize, self.peak_memory_bytes, self.close = (
            engine.synchronize,
            engine.peak_memory_bytes,
            engine.close,
        )

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        section = PytorchConfig(batch_size=BATCH_SIZE)
        here = config.model_copy(update={"backend": "pytorch", "pytorch": section})
        return self._engine.generate(prompts, here, marker)
