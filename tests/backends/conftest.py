"""The built-in model in a cache of the tests' own, loaded once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_llem.backends.base import Completion, Engine
from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.study.config import ExperimentConfig

Marks = list[tuple[str, float]]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv(
            "OMP_NUM_THREADS", "1"
        )  # threads that wait for each other on a busy machine take ten times as long
        yield


def experiment(**fields: object) -> ExperimentConfig:
    """An experiment on tiny; ``fields`` as in a study file."""
    return ExperimentConfig.model_validate({"model": {"id": "tiny"}, **fields})


def quiet(text: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="session")
def tiny() -> Iterator[Engine]:
    engine = PytorchBackend().load(experiment(), quiet)
    yield engine
    engine.close()


def run(engine: Engine, prompts: list[list[int]], **fields: object) -> tuple[list[Completion], Marks]:
    """One pass, and its marks."""
    marks: Marks = []
    answers = engine.generate(prompts, experiment(**fields), lambda label, units: marks.append((label, units)))
    return answers, marks
