"""Studies in LLenergyMeasure's grammar become studies in ours, and nothing of them is lost without a word."""

from __future__ import annotations

import copy
import functools
import operator
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llem.cli import main
from pytest_llem.commands import importing
from pytest_llem.errors import StudyError
from pytest_llem.study.load import load_study
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Study
from tests.docs.pages import DOCS, codes, table

Told = list[str]

WHOLE = """\
study_name: night shift
serving_mode: offline
runners: {transformers: process, vllm: "container:my/vllm:1", tensorrt: container}
images: {transformers: my/torch:2}
study_execution:
  n_cycles: 2
  experiment_order: interleave
  shuffle_seed: 7
  experiment_gap_seconds: 5
  cycle_gap_seconds: null
  wall_clock_timeout_hours: 1.5
  experiment_timeout_seconds: 900
  stdout_silence_timeout_seconds: 0
  gpu_indices: [0, 2]
task:
  model: some/model
  random_seed: 3
  dataset: {source: prompts.jsonl, n_prompts: 20, order: shuffled}
  max_input_tokens: null
measurement:
  energy_sampler: zeus
  latency_profiling: true
  baseline: {enabled: false}
offline:
  warmup: {enabled: true, convergence_detection: true, cv_threshold: 0.1, thermal_floor_seconds: 45}
output: {results_dir: ./out, save_timeseries: true}
vllm:
  engine_params: {max_model_len: 4096, trust_remote_code: true, swap_space: 4, new_knob: 1}
  sampling_params: {temperature: 0.7, max_tokens: 9}
sweep:
  task.max_output_tokens: {pow2: {min: 32, max: 128}}
  transformers.llem_execution.batch_size: [1, 8]
  tensorrt.engine_params.max_batch_size: [1, 8]
  vllm.engine_params.gpu_memory_utilization: 0.8
  transformers.compilation:
    - {}
    - transformers.llem_execution.torch_compile: true
      transformers.llem_execution.torch_compile_mode: [default, max-autotune]
  vllm.attention: [{vllm.engine_params.attention: {backend: flashinfer, flash_attn_version: 3}}]
  tensorrt.cache: [{}, {tensorrt.engine_params.kv_cache_config: {enable_block_reuse: true}}]
experiments:
  - engine: transformers
    task: {max_output_tokens: 7}
    transformers:
      engine_params: {dtype: bfloat16, load_in_4bit: true, max_memory: {0: 8GiB}, low_cpu_mem_usage: true}
      llem_execution: {allow_tf32: true}
  - {engine: tensorrt}
"""


class Imported:
    """What the command wrote: the new file, as text, as data, as a loaded study; and what it said."""

    def __init__(self, path: Path, told: str) -> None:
        self.text = path.read_text()
        self.data: dict[str, Any] = yaml.safe_load(self.text)
        self.told = told.splitlines()
        self.study: Study = load_study(path, overrides=Overrides(environment={}))


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Import a text, which is a file ``old.yaml``; ``.data`` and so on of what it becomes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").touch()
    (tmp_path / "new").mkdir()

    def converted(text: str) -> Imported:
        Path("old.yaml").write_text(textwrap.dedent(text))
        status = main(["import", "old.yaml", "-o", "new/study.yaml"])
        told = capsys.readouterr().err
        assert status == 0, told
        return Imported(Path("new/study.yaml"), told)

    return converted


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The lines of the error that a text makes."""
    monkeypatch.chdir(tmp_path)

    def lines(text: str) -> Told:
        Path("old.yaml").write_text(textwrap.dedent(text))
        assert main(["import", "old.yaml", "-o", "new.yaml"]) == 2
        assert not Path("new.yaml").exists()
        return capsys.readouterr().err.splitlines()

    return lines


def test_a_whole_study(convert: Any) -> None:
    new = convert(WHOLE)
    assert new.data == {
        "llem": 1,
        "name": "night_shift",
        "model": {"id": "some/model"},
        "backend": ["pytorch", "vllm"],
        "dataset": {"source": "../prompts.jsonl", "n": 20, "input_tokens": 1_000_000, "order": "shuffled"},
        "max_output_tokens": 256,
        "execution": {
            "cycles": 2,
            "order": "interleaved",
            "experiment_gap_s": 5,
            "study_timeout_s": 5400.0,
            "timeout_s": 900,
        },
        "seed": 3,
        "measure": {"token_times": True, "warmup": "auto", "warmup_cv": 0.1, "thermal_wait_s": 45},
        "vllm": {"engine": {"max_model_len": 4096, "extra": {"new_knob": 1}}, "sampling": {"temperature": 0.7}},
        "runners": {"pytorch": "local", "vllm": "docker"},
        "sweep": {
            "max_output_tokens": [32, 64, 128],
            "pytorch.batch_size": [1, 8],
            "vllm.engine.gpu_memory_utilization": [0.8],
            "transformers_compilation": [
                {},
                {"pytorch.torch_compile": True, "pytorch.torch_compile.mode": "default"},
                {"pytorch.torch_compile": True, "pytorch.torch_compile.mode": "max-autotune"},
            ],
            "vllm_attention": [
                {
                    "vllm.engine.attention_backend": "flashinfer",
                    "vllm.engine.attention_config.flash_attn_version": 3,
                }
            ],
        },
        "experiments": [
            {
                "backend": "pytorch",
                "max_output_tokens": 7,
                "pytorch": {
                    "dtype": "bfloat16",
                    "quantization": {"load_in_4bit": True},
                    "extra": {"from_pretrained": {"max_memory": {"0": "8GiB"}}},
                },
            }
        ],
    }


def test_what_is_left_out_is_named_with_its_line_on_stderr_and_in_the_file(convert: Any) -> None:
    new = convert(WHOLE)
    lines = dict(line.removeprefix("old.yaml:").split(": ", 1) for line in new.told)
    expected = {
        3: "runners.tensorrt: left out: TensorRT-LLM is no backend here",
        4: "images.transformers: left out: my/torch:2 holds no worker of ours",
        8: "study_execution.shuffle_seed: left out: the order follows from the study's hash",
        13: "study_execution.stdout_silence_timeout_seconds: left out: silence is always limited",
        14: "study_execution.gpu_indices: left out: an option of the run, not of the study: --llem-gpus=0,2",
        21: "measurement.energy_sampler: left out: an option of the run, not of the study: --llem-meter=zeus",
        23: "measurement.baseline.enabled: left out: idle power is measured before every experiment",
        25: "offline.warmup.convergence_detection: left out: a warm-up is whole passes until three agree",
        28: "vllm.engine_params.swap_space: left out: today's vLLM has no such field",
        29: "vllm.sampling_params.max_tokens: left out: it is the study's `max_output_tokens`",
        33: "sweep.tensorrt.engine_params.max_batch_size: left out: TensorRT-LLM is no backend here",
        46: "experiments[0].transformers.llem_execution.allow_tf32: left out: a model runs in the dtype",
        47: "experiments[1]: left out: TensorRT-LLM is no backend here",
    }
    assert {line: lines.get(str(line), "")[: len(text)] for line, text in expected.items()} == expected
    commented = [line for line in new.text.splitlines() if line.startswith("# - ")]
    assert [line.removeprefix("# - ") for line in commented] == [line.replace("left out: ", "") for line in new.told]


def test_nothing_is_dropped_silently(convert: Any) -> None:
    """Without any one of its leaves, the old study makes another file: the leaf was mapped, or it was named there."""
    whole = yaml.safe_load(WHOLE)
    as_written = convert(WHOLE).text
    silent = []
    for leaf in leaves(whole):
        data = copy.deepcopy(whole)
        above = functools.reduce(operator.getitem, leaf[:-1], data)
        del above[leaf[-1]]
        Path("old.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        try:
            text, _ = importing.convert(Path("old.yaml"), Path("new").resolve())
        except StudyError:
            continue  # what cannot be missing
        if bare(text) == bare(as_written):
            silent.append(".".join(map(str, leaf)))
    assert silent == [
        "serving_mode",  # there is no other
        "study_execution.cycle_gap_seconds",  # null says nothing
        "sweep.tensorrt.engine_params.max_batch_size.0",  # the axis is named as a whole
        "sweep.tensorrt.engine_params.max_batch_size.1",
        "experiments.0.engine",  # the default
    ]


def leaves(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not items:
        yield above
    for key, below in items:
        yield from leaves(below, (*above, key))


def bare(text: str) -> str:
    """Without the line numbers."""
    return re.sub(r"old\.yaml:\d+", "", text)


def test_the_new_study_has_the_experiments_of_the_old_one(convert: Any) -> None:
    study = convert(WHOLE).study
    cells = [cell for cell in study.cells if cell.cycle == 1]
    by_backend = {name: [cell for cell in cells if cell.config.backend == name] for name in ("pytorch", "vllm")}
    assert len(by_backend["pytorch"]) == 3 * 2 * 3 + 1
    assert len(by_backend["vllm"]) == 3
    assert {
        cell.config.pytorch.torch_compile.mode for cell in by_backend["pytorch"] if cell.config.pytorch.torch_compile
    } == {
        "default",
        "max-autotune",
    }


def test_a_single_experiment_has_the_old_defaults(convert: Any) -> None:
    new = convert("engine: vllm\nserving_mode: offline\ntask: {model: some/model}\n")
    assert new.data == {
        "llem": 1,
        "model": {"id": "some/model"},
        "backend": "vllm",
        "dataset": {"source": "aienergyscore", "n": 100, "input_tokens": 256},
        "max_output_tokens": 256,
    }
    assert not new.told


def test_the_oldest_spelling(convert: Any) -> None:
    new = convert(
        """\
        name: first
        backend: [pytorch, vllm]
        model: some/model
        dataset: {source: synthetic, n: 5, input_len: 40, output_len: 9, seed: 2}
        dataset_order: grouped
        precision: fp16
        decoder: {temperature: 0.5, min_new_tokens: 4, do_sample: true}
        energy: {backend: nvml}
        pytorch: {batch_size: 2, load_in_8bit: true}
        execution: {n_cycles: 3, cycle_order: latin_square}
        runners: {pytorch: local, vllm: docker}
        sweep: {vllm.engine.block_size: [16, 32]}
        """
    )
    assert new.data["model"] == {"dtype": "float16", "id": "some/model"}
    assert new.data["dataset"] == {"source": "synthetic", "n": 5, "input_tokens": 40, "seed": 2, "order": "as_given"}
    assert new.data["max_output_tokens"] == 128
    assert new.data["pytorch"] == {
        "temperature": 0.5,
        "min_new_tokens": 4,
        "do_sample": True,
        "batch_size": 2,
        "quantization": {"load_in_8bit": True},
    }
    assert new.data["vllm"] == {"sampling": {"temperature": 0.5, "min_tokens": 4}}
    assert new.data["execution"] == {"cycles": 3}
    assert new.data["sweep"] == {"vllm.engine.block_size": [16, 32]}
    assert [line.split(": ")[1] for line in new.told] == [
        "dataset.output_len",
        "energy.backend",
        "execution.cycle_order",
    ]


def test_a_preset_becomes_what_it_stands_for(convert: Any) -> None:
    new = convert(
        "task: {model: some/model}\nengine: [transformers, vllm]\nsweep: {sampling_preset: [deterministic, factual]}\n"
    )
    assert new.data["sweep"]["sampling_preset"] == [
        {},
        {"pytorch.temperature": 0.3, "pytorch.do_sample": True, "vllm.sampling.temperature": 0.3},
    ]
    assert len(new.study.cells) == 4


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("{min: 0, max: 8, num: 5}", [0, 2, 4, 6, 8]),
        ("{min: 0, max: 1, num: 3}", [0.0, 0.5, 1.0]),
        ("{log: {min: 1, max: 100, num: 3}}", [1, 10, 100]),
        ("{pow2: {min: 3, max: 33}}", [4, 8, 16, 32]),
        ("4", [4]),
    ],
)
def test_a_range_becomes_its_values(convert: Any, written: str, values: list[float]) -> None:
    new = convert(f"task: {{model: m}}\nengine: vllm\nsweep: {{vllm.engine_params.max_new_knob: {written}}}\n")
    found = new.data["sweep"]["vllm.engine.extra.max_new_knob"]
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


def test_a_base_gives_whole_top_level_keys_and_none_of_a_study(convert: Any) -> None:
    Path("base.yaml").write_text(
        "study_name: not this\ntask: {model: of/base, random_seed: 9}\nmeasurement: {energy_sampler: nvml}\n"
    )
    new = convert("base: base.yaml\ntask: {model: own}\nengine: vllm\n")
    assert new.data["model"] == {"id": "own"}
    assert "seed" not in new.data
    assert "name" not in new.data
    assert new.told == [
        "base.yaml:3: measurement.energy_sampler: left out: an option of the run, not of the study: --llem-meter=nvml"
    ]


def test_printed_where_no_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("task: {model: some/model}\nmeasurement: {energy_sampler: null}\n")
    assert main(["import", str(path)]) == 0
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["backend"] == "pytorch"
    assert "--llem-meter=auto" in printed.err


def test_folders_above_the_new_file_are_made(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("task: {model: some/model}\n")
    new = tmp_path / "studies" / "more" / "new.yaml"
    assert main(["import", str(path), "-o", str(new)]) == 0
    assert "some/model" in new.read_text()


def test_no_file_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("task: {model: some/model}\n")
    assert main(["import", str(path), "-o", str(path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "task: {model: some/model}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task: {model: m}\nserving_mode: server\n", "old.yaml:2: serving_mode: a server under load is not measured"),
        ("task: {model: m}\nengine: tensorrt\n", "old.yaml:2: engine: nothing is left to convert: TensorRT-LLM is no"),
        (
            "task: {model: m}\nengine: vlm\n",
            "old.yaml:2: engine: unknown engine 'vlm' (transformers, vllm or tensorrt)",
        ),
        ("task: {model: m}\nmeasurment: {x: 1}\n", "old.yaml:2: measurment.x: unknown key"),
        (
            "task:\n  model: m\n  datset: {n_prompts: 3}\n",
            "old.yaml:3: task.datset.n_prompts: unknown key (did you mean task.dataset.n_prompts",
        ),
        ("task: {model: m}\nllem: 1\n", "old.yaml:2: llem: this is a study of pytest-llem already"),
        (
            "task: {model: m}\ntransformers:\n  engine_params:\n    cache_implementation: sliding\n",
            "old.yaml:4: pytorch.cache_implementation: expected",
        ),
        (
            "task: {model: m}\nsweep:\n  task.random_seed: {from: 1}\n",
            "old.yaml:3: sweep.task.random_seed: this mapping is",
        ),
        ("task: {model: m}\nsweep: [1]\n", "old.yaml:2: sweep: expected a mapping, got a list"),
        ("task: {model: m}\nexperiments:\n  - 5\n", "old.yaml:3: experiments[0]: expected a mapping, got 5"),
        (
            "task: {model: m}\nengine: [transformers, vllm]\nsweep:\n  vllm.x:\n    - {task.random_seed: 2}\n",
            "old.yaml:4: sweep.vllm.x: a group of one engine sets more",
        ),
        ("task: {model: m}\nbase: none.yaml\n", "none.yaml: cannot be read: No such file"),
        ("task: {model: m\n", "old.yaml:2: not valid YAML"),
    ],
)
def test_a_mistake_names_file_line_and_key(refused: Any, text: str, told: str) -> None:
    (line,) = refused(text)
    assert line.startswith(told)


def test_the_page_says_what_the_command_does(convert: Any) -> None:
    """Each row of the page's table of keys, with a value, becomes the path that the row names."""
    for theirs, ours, *_ in table(DOCS / "migrating.md", "## What becomes what"):
        for key in codes(theirs):
            Path("new/study.yaml").unlink(missing_ok=True)
            name, _, value = key.partition(": ")
            entry: Any = yaml.safe_load(value) if value else 1
            for part in reversed(name.split(".")):
                entry = {part: entry}
            old = {"engine": "vllm" if name.startswith("vllm") else "transformers"} | entry
            old["task"] = {"model": "some/model"} | old.get("task", {})
            new = convert(yaml.safe_dump(old))
            assert (not codes(ours)) == bool(new.told), key
            for path in codes(ours):
                found = new.data
                for part in path.partition(": ")[0].split("."):
                    found = found[part]
                if ": " in path:
                    assert found == yaml.safe_load(path.partition(": ")[2]), key
