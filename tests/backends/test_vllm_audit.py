"""The audit against the installed vLLM: every field known, none renamed, added or dropped without being noticed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from pytest_llem.backends.vllm import versions
from pytest_llem.study import vllm
from tests.backends.vllm_case import require_vllm

AUDIT = yaml.safe_load(Path(__file__).parents[2].joinpath("docs/backends/left_out.yaml").read_text())
KNOWN: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
    "EngineArgs": (vllm.VllmEngine, vllm.ENGINE_SET),
    "SamplingParams": (vllm.VllmSampling, vllm.SAMPLING_SET),
    "BeamSearchParams": (vllm.VllmBeamSearch, vllm.BEAM_SEARCH_SET),
}
# Fields that one of the two versions in use does not have; all others are in both.
ONLY_OLDEST = {
    "EngineArgs": [
        "calculate_kv_scales",
        "enable_bf16x3_router_gemm",
        "max_long_partial_prefills",
        "max_num_partial_prefills",
        "override_attention_dtype",
    ]
}
ONLY_NEWEST = {
    "EngineArgs": [
        "dcp_q_replicate",
        "dp_sync_interval",
        "ec_manager_config",
        "elastic_ep_max_dp_size",
        "enable_batch_sharded_sampling",
        "enable_fault_tolerance",
        "enable_mamba_fine_grained_prefix_cache",
        "enable_nccl_comm_suspend",
        "enable_trace_replay",
        "engram_config",
        "fault_tolerance_config",
        "kda_decode_backend",
        "kda_prefill_backend",
        "mamba_ssu_algorithm",
        "max_num_queued_reqs",
        "max_num_queued_tokens",
        "mm_device_do_normalize",
        "mm_hasher_algorithm",
        "mm_processor_device",
        "per_request_spec_decode_metrics",
        "prefix_cache_retention_interval",
        "replayssm_buffer_len",
        "return_sampling_mask",
        "sparse_indexer_topk_backend",
        "use_replayssm",
        "video_pruning_method",
        "watermark_config",
    ],
    "SamplingParams": ["stream_interval", "trace_decode_token_ids", "watermarking"],
    "BeamSearchParams": ["skip_special_tokens"],
}


def known(name: str) -> set[str]:
    return set().union(*places(name))


def places(name: str) -> list[set[str]]:
    """The fields that a study has, those that are set, and those that are left out, by reason."""
    model, taken = KNOWN[name]
    return [set(model.model_fields) - {"extra"}, set(taken), *map(set, AUDIT[name]["left out"].values())]


def installed_fields(name: str) -> dict[str, object]:
    """Field -> default."""
    import msgspec
    from vllm.engine.arg_utils import EngineArgs
    from vllm.sampling_params import BeamSearchParams, SamplingParams

    if name == "EngineArgs":
        return {field.name: field.default for field in dataclasses.fields(EngineArgs)}
    struct = {"SamplingParams": SamplingParams, "BeamSearchParams": BeamSearchParams}[name]
    return {field.name: field.default for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("name", KNOWN)
def test_the_audit_puts_each_field_in_one_place(name: str) -> None:
    assert sum(map(len, places(name))) == len(known(name))


@pytest.mark.parametrize("name", KNOWN)
def test_what_differs_between_versions_is_audited_too(name: str) -> None:
    assert set(ONLY_OLDEST.get(name, ())) <= known(name)
    assert set(ONLY_NEWEST[name]) <= known(name)


@pytest.mark.vllm
@pytest.mark.parametrize("name", KNOWN)
def test_the_audit_knows_exactly_the_installed_fields(name: str) -> None:
    require_vllm()
    release = versions.release(versions.installed() or "")
    fields = set(installed_fields(name))
    if release == versions.NEWEST:
        assert fields == known(name) - set(ONLY_OLDEST.get(name, ()))
    elif release == versions.OLDEST:
        assert fields == known(name) - set(ONLY_NEWEST[name])
    else:
        assert fields <= known(name)
        assert fields >= known(name) - {*ONLY_NEWEST[name], *ONLY_OLDEST.get(name, ())}


@pytest.mark.vllm
@pytest.mark.parametrize("name", ["EngineArgs", "SamplingParams"])
def test_the_defaults_that_the_page_tells_are_vllms(name: str) -> None:
    require_vllm()
    expected: dict[str, object] = AUDIT[name]["defaults"]
    if versions.release(versions.installed() or "") != versions.NEWEST:
        pytest.skip("the page tells the defaults of the newest known version")
    defaults = installed_fields(name)
    assert {field: defaults[field] for field in expected} == expected
    exposed = set(KNOWN[name][0].model_fields) - {"extra", "temperature", "ignore_eos"}
    silent = {field for field in exposed - set(expected) if isinstance(defaults[field], str | int | float)}
    assert not silent
