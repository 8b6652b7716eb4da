"""Checked by mypy, not run: what the public names are to a user's type checker."""

from __future__ import annotations

import threading
from typing import assert_type

import pytest_llem
from pytest_llem import ExperimentConfig, ExperimentResult, Study, StudyResult, load_study, run_experiment, run_study
from pytest_llem.api import Progress, RunSettings


def progress(step: Progress) -> None:
    assert_type(step.phase, str)
    assert_type(step.done, int)


def a_study() -> None:
    study = load_study("studies/batching.yaml")
    assert_type(study, Study)
    found = run_study(
        study, settings=RunSettings(meter="nvml", busy="wait"), progress=progress, cancel=threading.Event()
    )
    assert_type(found, StudyResult)
    assert_type(found.results, tuple[ExperimentResult, ...])
    run_study("studies/batching.yaml", resume="llem-results/batching-20261123T101500Z-7f3c")


def an_experiment(config: ExperimentConfig) -> None:
    result = run_experiment(config)
    assert_type(result, ExperimentResult)
    assert_type(result.energy_per_output_token_j, float | None)
    assert_type(result.energy_j_ci95, tuple[float, float] | None)
    run_experiment({"model": "tiny", "pytorch": {"batch_size": 4}})


def wrong() -> None:
    run_experiment(4)  # type: ignore[arg-type]  # neither a configuration nor a mapping
    RunSettings(busy="never")  # type: ignore[arg-type]  # none of the three words


assert_type(pytest_llem.__version__, str)
