"""What a sweep expands to: counts, order, and whose experiments a path multiplies."""

from __future__ import annotations

from tests.study.conftest import Load


def ids(load: Load, text: str) -> list[str]:
    return [cell.id for cell in load(text).cells]


def test_a_study_without_a_sweep_is_one_experiment(load: Load) -> None:
    assert ids(load, "") == ["pytorch"]


def test_axes_multiply_and_the_first_varies_slowest(load: Load) -> None:
    text = "sweep: {pytorch.batch_size: [1, 4, 16], max_output_tokens: [32, 128]}"
    assert ids(load, text) == [
        "pytorch-bs1-out32",
        "pytorch-bs1-out128",
        "pytorch-bs4-out32",
        "pytorch-bs4-out128",
        "pytorch-bs16-out32",
        "pytorch-bs16-out128",
    ]


def test_the_example_of_the_grammar(load: Load) -> None:
    study = load(
        """\
        name: batching
        description: What batching does to the energy of a token.
        backend: [pytorch, vllm]
        dataset: {source: synthetic, n: 16, input_tokens: 64}
        max_output_tokens: 32
        seed: 42
        pytorch: {batch_size: 4}
        vllm: {engine: {enforce_eager: true}, sampling: {temperature: 0.0}}
        measure: {warmup: auto, repeats: 3, min_window_s: 1.0}
        execution: {cycles: 3, order: interleaved, experiment_gap_s: 0, cycle_gap_s: 0, timeout_s: 600}
        runner: local
        runners: {vllm: docker}
        sweep:
          pytorch.batch_size: [1, 4, 16]
          vllm.engine.gpu_memory_utilization: [0.8, 0.9]
          max_output_tokens: [32, 128]
        experiments:
          - {backend: pytorch, pytorch: {batch_size: 2, dtype: bfloat16}}
        budgets:
          - {metric: energy_per_output_token_j, max: 0.5, when: {pytorch.batch_size: 16}}
          - {metric: output_tokens_per_s, min: 100}
          - {metric: peak_memory_bytes, max: 2 GiB}
        """
    )
    assert len(study.cells) == (3 * 2 + 2 * 2 + 1) * 3
    assert [cell.id for cell in study.cells[:11]] == [
        "pytorch-bs1-out32-c1",
        "pytorch-bs1-out128-c1",
        "pytorch-bs4-out32-c1",
        "pytorch-bs4-out128-c1",
        "pytorch-bs16-out32-c1",
        "pytorch-bs16-out128-c1",
        "vllm-gmu0.8-out32-c1",
        "vllm-gmu0.8-out128-c1",
        "vllm-gmu0.9-out32-c1",
        "vllm-gmu0.9-out128-c1",
        "pytorch-bs2-bfloat16-c1",
    ]
    judged = {cell.id: [budget.metric for budget in cell.budgets] for cell in study.cells}
    assert judged["pytorch-bs16-out128-c2"] == ["energy_per_output_token_j", "output_tokens_per_s", "peak_memory_bytes"]
    assert judged["vllm-gmu0.8-out32-c3"] == ["output_tokens_per_s", "peak_memory_bytes"]
    assert {cell.runner.kind for cell in study.cells if cell.config.backend == "vllm"} == {"docker"}
    assert {cell.line for cell in study.cells} == {15, 20}, "the sweep's line, and the explicit experiment's"
    assert study.notices() == []


def test_the_alias_transformers_is_pytorch(load: Load) -> None:
    assert ids(load, "backend: transformers\ntransformers: {batch_size: 2}\nsweep: {transformers.num_beams: [2]}") == [
        "pytorch-beams2"
    ]


def test_a_path_multiplies_only_its_own_backend(load: Load) -> None:
    assert ids(load, "backend: [pytorch, vllm]\nsweep: {pytorch.batch_size: [1, 2, 3]}") == [
        "pytorch-bs1",
        "pytorch-bs2",
        "pytorch-bs3",
        "vllm",
    ]


GROUP = """\
    sweep:
      quantized:
        - {}
        - pytorch.quantization.load_in_8bit: true
        - {pytorch.quantization.load_in_4bit: true, pytorch.quantization.bnb_4bit_quant_type: [nf4, fp4]}
      max_output_tokens: [1, 2]
"""


def test_a_group_has_alternatives_and_small_grids_and_multiplies_with_axes(load: Load) -> None:
    assert ids(load, GROUP) == [
        "pytorch-out1",
        "pytorch-out2",
        "pytorch-8bit-out1",
        "pytorch-8bit-out2",
        "pytorch-4bit-nf4-out1",
        "pytorch-4bit-nf4-out2",
        "pytorch-4bit-fp4-out1",
        "pytorch-4bit-fp4-out2",
    ]


def test_a_group_of_one_backend_does_not_multiply_another(load: Load) -> None:
    found = ids(load, "backend: [pytorch, vllm]\n" + GROUP.replace("    sweep", "sweep"))
    assert [name for name in found if name.startswith("vllm")] == ["vllm-out1", "vllm-out2"]


def test_an_entry_for_several_backends_gives_each_its_own(load: Load) -> None:
    text = """\
        backend: [pytorch, vllm]
        sweep:
          size:
            - {pytorch.batch_size: 1, vllm.engine.max_num_seqs: 1}
            - {pytorch: {batch_size: 8}, vllm: {engine: {max_num_seqs: 8}}, max_output_tokens: 64}
    """
    assert ids(load, text) == ["pytorch-bs1", "pytorch-bs8-out64", "vllm-seqs1", "vllm-seqs8-out64"]


def test_entries_that_differ_for_another_backend_only_are_one(load: Load) -> None:
    text = """\
        backend: [pytorch, vllm]
        sweep:
          g: [{seed: 1, pytorch.batch_size: 1}, {seed: 1, pytorch.batch_size: 2}]
    """
    assert ids(load, text) == ["pytorch-seed1-bs1", "pytorch-seed1-bs2", "vllm-seed1"]


def test_a_value_may_be_left_to_the_library(load: Load) -> None:
    study = load("sweep: {pytorch.attn_implementation: [null, sdpa]}")
    assert [cell.swept for cell in study.cells] == [
        {"pytorch.attn_implementation": None},
        {"pytorch.attn_implementation": "sdpa"},
    ]
    assert [cell.id for cell in study.cells] == ["pytorch-default-attn_implementation", "pytorch-sdpa"]


def test_lists_and_mappings_as_values(load: Load) -> None:
    study = load(
        """\
        backend: vllm
        sweep:
          vllm.engine.cudagraph_capture_sizes: [[1, 2], [4]]
          speculation:
            - {}
            - vllm.engine.speculative_config: {method: ngram, num_speculative_tokens: 3}
    """
    )
    assert len(study.cells) == 4
    last = study.cells[-1]
    assert last.config.vllm is not None
    assert last.config.vllm.engine.cudagraph_capture_sizes == [4]
    assert last.config.vllm.engine.speculative_config == {"method": "ngram", "num_speculative_tokens": 3}
    assert last.swept == {
        "vllm.engine.cudagraph_capture_sizes": "[4]",
        "vllm.engine.speculative_config.method": "ngram",
        "vllm.engine.speculative_config.num_speculative_tokens": 3,
    }


def test_a_swept_part_of_a_section_keeps_the_rest(load: Load) -> None:
    study = load(
        "pytorch: {torch_compile: {backend: eager}}\nsweep: {pytorch.torch_compile.mode: [default, max-autotune]}"
    )
    compiled = [cell.config.pytorch.torch_compile for cell in study.cells if cell.config.pytorch is not None]
    assert [(one.backend, one.mode) for one in compiled if not isinstance(one, bool)] == [
        ("eager", "default"),
        ("eager", "max-autotune"),
    ]


def test_explicit_experiments_alone_make_no_grid(load: Load) -> None:
    text = """\
        pytorch: {batch_size: 4}
        experiments:
          - {}
          - {pytorch.num_beams: 2}
          - {model: {id: other, dtype: float16}}
    """
    study = load(text)
    assert [cell.id for cell in study.cells] == ["pytorch", "pytorch-beams2", "pytorch-other-float16"]
    assert [cell.line for cell in study.cells] == [5, 6, 7]
    assert {cell.config.pytorch.batch_size for cell in study.cells if cell.config.pytorch} == {4}


def test_an_explicit_experiment_without_a_backend_runs_where_its_sections_belong(load: Load) -> None:
    text = """\
        backend: [pytorch, vllm]
        experiments:
          - {max_output_tokens: 3}
          - {vllm: {engine: {block_size: 16}}}
          - {backend: [vllm, pytorch], seed: 1}
    """
    assert ids(load, text) == ["pytorch-out3", "vllm-out3", "vllm-block16", "vllm-seed1", "pytorch-seed1"]


def test_a_list_in_an_entry_is_a_grid_where_the_field_is_not_known_to_hold_lists(
    load: Load, instant_backend: None
) -> None:
    study = load(
        """\
        backend: [instant, vllm]
        sweep:
          a: [{instant.x: [1, 2], vllm.engine.cudagraph_capture_sizes: [1, 2]}]
          instant.y: [[1, 2], 3]
    """
    )
    assert [cell.config.options for cell in study.cells[:-1]] == [
        {"x": 1, "y": [1, 2]},
        {"x": 1, "y": 3},
        {"x": 2, "y": [1, 2]},
        {"x": 2, "y": 3},
    ]
    assert study.cells[-1].config.vllm is not None
    assert study.cells[-1].config.vllm.engine.cudagraph_capture_sizes == [1, 2]


def test_a_third_party_backend_has_a_section_of_its_own(load: Load, instant_backend: None) -> None:
    study = load("backend: instant\ninstant: {seconds: 1, deep: {a: 1}}\nsweep: {instant.deep.b: [1, 2]}")
    assert [cell.id for cell in study.cells] == ["instant-b1", "instant-b2"]
    assert study.cells[1].config.options == {"seconds": 1, "deep": {"a": 1, "b": 2}}
    assert study.cells[1].swept == {"instant.deep.b": 2}
