"""Points that cannot run, points that are the same, and what is said about them."""

from __future__ import annotations

from pytest_llem.study.study import LeftOut, Merged
from tests.study.conftest import Load


def test_a_point_that_cannot_run_is_left_out_with_the_reason(load: Load) -> None:
    study = load("sweep: {pytorch.prompt_lookup_num_tokens: [3], pytorch.batch_size: [1, 2, 4]}")
    assert [cell.id for cell in study.cells] == ["pytorch-lookup3-bs1"]
    reason = "pytorch: prompt_lookup_num_tokens works with batch_size 1 only, and it is"
    assert study.left_out == (
        LeftOut("pytorch-lookup3-bs2", f"{reason} 2"),
        LeftOut("pytorch-lookup3-bs4", f"{reason} 4"),
    )
    assert study.notices() == [
        f"study: left out pytorch-lookup3-bs2: {reason} 2",
        f"study: left out pytorch-lookup3-bs4: {reason} 4",
    ]


def test_vllm_refuses_in_its_own_words(load: Load) -> None:
    study = load(
        """\
        backend: vllm
        vllm: {engine: {max_model_len: 4096, enable_chunked_prefill: false}}
        sweep: {vllm.engine.max_num_batched_tokens: [2048, 8192]}
    """
    )
    assert [cell.id for cell in study.cells] == ["vllm-batched8192"]
    assert study.left_out[0].reason.startswith(
        "vllm.engine: max_num_batched_tokens (2048) is smaller than max_model_len (4096)."
    )


def test_a_sequence_must_fit_into_the_model(load: Load) -> None:
    study = load(
        """\
        backend: vllm
        vllm: {engine: {max_model_len: 128}}
        sweep: {max_output_tokens: [64, 65]}
    """
    )
    assert [cell.config.max_output_tokens for cell in study.cells] == [64]
    assert study.left_out[0].reason == "64 input and 65 output tokens do not fit into vllm.engine.max_model_len (128)"


def test_equal_experiments_run_once_and_say_so(load: Load) -> None:
    study = load("sweep: {pytorch.temperature: [0.5, 0.7, 1.0], pytorch.batch_size: [1, 2]}")
    assert [cell.id for cell in study.cells] == ["pytorch-temp0.5-bs1", "pytorch-temp0.5-bs2"]
    because = "pytorch.temperature has no effect without do_sample: true"
    assert study.merged[0] == Merged("pytorch-temp0.5-bs1", "pytorch-temp0.7-bs1", because)
    assert study.notices() == [
        f"study: pytorch-temp0.7-bs1 is the same experiment as pytorch-temp0.5-bs1 (4 such points): {because}"
    ]


def test_a_temperature_is_swept_where_it_matters(load: Load) -> None:
    assert len(load("sweep: {pytorch.temperature: [0.5, 0.7], pytorch.do_sample: [true]}").cells) == 2


def test_equal_experiments_of_vllm_run_once(load: Load) -> None:
    study = load("backend: vllm\nsweep: {vllm.sampling.top_p: [0.5, 0.9]}")
    assert len(study.cells) == 1
    assert study.merged[0].because == "vllm.sampling.top_p has no effect with temperature: 0"


def test_an_explicit_experiment_that_the_sweep_has_already_runs_once(load: Load) -> None:
    study = load("sweep: {pytorch.batch_size: [1, 2]}\nexperiments: [{pytorch: {batch_size: 2}}]")
    assert [cell.id for cell in study.cells] == ["pytorch-bs1", "pytorch-bs2"]
    assert study.merged == (Merged("pytorch-bs2", "pytorch-bs2", "all values are equal"),)


def test_merged_points_name_the_one_that_is_kept_among_alike_labels(load: Load) -> None:
    study = load("sweep: {model: [a/x, b/x, a/x]}")
    kept = [cell.id for cell in study.cells]
    assert len(set(kept)) == 2
    assert [one.kept for one in study.merged] == [kept[0]]


def test_a_value_without_effect_is_noted(load: Load) -> None:
    study = load("pytorch: {top_p: 0.9}")
    assert study.notices() == ["study: pytorch.top_p has no effect without do_sample: true"]
    assert study.cells[0].config.pytorch is not None
    assert study.cells[0].config.pytorch.top_p is None


def test_a_batch_that_cannot_be_filled_is_noted(load: Load) -> None:
    study = load("dataset: {n: 2}\nsweep: {pytorch.batch_size: [1, 2, 4, 8]}")
    assert study.notices() == ["study: pytorch.batch_size above dataset.n makes no larger batches than 2"]


def test_many_notices_are_cut(load: Load) -> None:
    study = load(f"pytorch: {{prompt_lookup_num_tokens: 3}}\nsweep: {{pytorch.batch_size: {list(range(1, 101))}}}")
    assert len(study.left_out) == 99
    assert len(study.notices()) == 21
    assert study.notices()[-1] == "study: and 79 more notices like these"


def test_dtype_may_be_said_by_the_model_or_by_the_section(load: Load) -> None:
    first = load("pytorch: {dtype: bfloat16, trust_remote_code: true, revision: main}").cells[0]
    second = load("experiments: [{model: {id: tiny, dtype: bfloat16, trust_remote_code: true, revision: main}}]").cells[
        0
    ]
    assert first.config == second.config
    assert first.config_hash == second.config_hash
    assert first.config.model.dtype == "bfloat16"
    assert first.config.pytorch is not None
    assert first.config.pytorch.dtype == "bfloat16"


def test_files_lie_beside_the_study(load: Load, folder: object) -> None:
    from pathlib import Path

    Path("prompts.jsonl").write_text('{"text": "x"}\n')
    cell = load("dataset: {source: prompts.jsonl, n: 1}").cells[0]
    assert cell.config.dataset.source == str(Path("prompts.jsonl").resolve())
