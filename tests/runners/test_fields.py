"""Figures that follow from the model's size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_llem.runners.assemble import Observed
from pytest_llem.runners.fields import compute
from pytest_llem.study.load import study_from_mapping

PARAMETERS, WEIGHT_BYTES, SECONDS, JOULES, IDLE_W = 30e9, 60e9, 0.85, 256.0, 120.0


def optimality(active: float | None, **study: Any) -> float | None:
    """Of 256 tokens for one request on an H200, 300 a second at 300 W."""
    keys = {"llem": 1, "model": "some/model", "dataset": {"n": 1, "input_tokens": 128}, "max_output_tokens": 256}
    (cell,) = study_from_mapping({**keys, "backend": "vllm", **study}, name="moe").cells
    facts = SimpleNamespace(
        parameters=PARAMETERS,
        active_parameters=active,
        random_weights=False,
        dtype="bfloat16",
        device="cuda",
        flops_per_token=2 * (active or PARAMETERS),
        attention_flops_per_token_pair=None,
        weight_bytes=WEIGHT_BYTES,
        kv_bytes_per_token=98304,
    )
    device = SimpleNamespace(name="NVIDIA H200")
    seen = SimpleNamespace(worker=SimpleNamespace(facts=facts, prompts=1), recording=SimpleNamespace(devices=[device]))
    work = {"requests": 1, "input_tokens": 128, "output_tokens": 256, "duration_s": SECONDS}
    done = {**work, "idle_power_w": IDLE_W, "energy_j": JOULES}
    found: float | None = compute(cast("Observed", seen), cell.config, done).get("energy_optimality")
    return found


def test_a_pass_reads_at_least_the_experts_of_one_token() -> None:
    dense = 256 * WEIGHT_BYTES / 4.8e12 * IDLE_W / JOULES
    assert optimality(None) == pytest.approx(dense, rel=0.01)
    assert dense > 1, "no dense model of this size could be so fast"
    assert optimality(3e9) == pytest.approx(dense / 10, rel=0.03)


def test_where_tokens_are_drafted_there_is_no_bound() -> None:
    drafts = {"method": "ngram", "num_speculative_tokens": 4}
    assert optimality(None, vllm={"engine": {"speculative_config": drafts}}) is None
    lookup = {"backend": "pytorch", "pytorch": {"prompt_lookup_num_tokens": 4, "batch_size": 1}}
    assert optimality(None, **lookup) is None
