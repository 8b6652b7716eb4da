"""What the tests with a real vLLM share: whether there is one, experiments, and a pass with its marks."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from pytest_llem.backends.base import Completion, Engine
from pytest_llem.study.config import ExperimentConfig

PROMPTS = [[(7 * number + 3 * place) % 900 + 5 for place in range(16 + number)] for number in range(4)]
ENGINE = {"enforce_eager": True, "max_model_len": 512, "kv_cache_memory_bytes": 2**28}
Marks = list[tuple[str, float]]


def require_vllm() -> None:
    """Skip without vLLM; fail where CI promised one."""
    if find_spec("vllm") is not None:
        return
    if os.environ.get("LLEM_CI") == "1" and os.environ.get("LLEM_REQUIRE_VLLM") == "1":
        pytest.fail("vLLM is not installed, but LLEM_REQUIRE_VLLM=1", pytrace=False)
    pytest.skip("vLLM is not installed")


def experiment(**fields: object) -> ExperimentConfig:
    """The tiny model in float32, without compilation; ``fields`` as in a study file."""
    given: dict[str, object] = {
        "model": {"id": "tiny", "dtype": "float32"},
        "backend": "vllm",
        "max_output_tokens": 24,
        "measure": {"token_times": True},
        "vllm": {"engine": ENGINE},
    }
    return ExperimentConfig.model_validate(given | fields)


def sampling(**fields: object) -> ExperimentConfig:
    """An experiment on the same engine, with other sampling."""
    return experiment(vllm={"engine": ENGINE, "sampling": fields})


def run(engine: Engine, config: ExperimentConfig) -> tuple[list[Completion], Marks]:
    """One pass, and its marks."""
    marks: Marks = []
    answers = engine.generate(PROMPTS, config, lambda label, units: marks.append((label, units)))
    engine.synchronize()
    return answers, marks
