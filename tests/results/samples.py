"""Results made by hand, for tests."""

from __future__ import annotations

from typing import Any

from pytest_llem.results.model import ExperimentResult, Validity, Warmup


def make_result(
    *, valid: bool = True, reasons: tuple[str, ...] = (), missing: dict[str, str] | None = None, **changes: Any
) -> ExperimentResult:
    """A small valid result: 10 J for 100 output tokens in 2 s."""
    fields: dict[str, Any] = {
        "tool_version": "0",
        "run_id": "run",
        "study": "study",
        "cell_id": "pytorch-bs1",
        "config_hash": "0123456789abcdef",
        "environment_hash": "fedcba9876543210",
        "cycle": 1,
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:10.000Z",
        "config": {},
        "runner": {"runner": "local"},
        "energy_j": 10.0,
        "energy_j_ci95": (9.9, 10.1),
        "energy_per_output_token_j": 0.1,
        "energy_per_output_token_j_ci95": (0.099, 0.101),
        "mean_power_w": 5.0,
        "energy_source": "nvml_counter",
        "measured": True,
        "method": "bracketed",
        "input_tokens": 400,
        "output_tokens": 100,
        "requests": 4,
        "duration_s": 2.0,
        "output_tokens_per_s": 50.0,
        "requests_per_s": 2.0,
        "output_hash": "a" * 64,
        "prompt_hash": "b" * 64,
        "random_weights": True,
        "model_dtype": "float32",
        "model_device": "cpu",
        "warmup": Warmup(n=3, converged=True, cv=0.01, seconds=1.0),
        "validity": Validity(valid=valid, reasons=reasons, missing=missing or {}),
        **changes,
    }
    return ExperimentResult.model_validate(fields)
