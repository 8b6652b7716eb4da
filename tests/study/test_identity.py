"""Hashes written once must be understood for years: the literals below never change within one hash version."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.identity import config_hash, effective
from tests.study.conftest import Load

FROZEN = {
    "defaults": ({"model": {"id": "tiny"}}, "80fcbd35cf6666b5"),
    "pytorch": (
        {
            "model": {"id": "org/name", "revision": "abc"},
            "backend": "pytorch",
            "dataset": {"source": "aienergyscore", "n": 16},
            "max_output_tokens": 128,
            "seed": 7,
            "pytorch": {"batch_size": 4, "dtype": "bfloat16", "length_penalty": 0.1, "num_beams": 2},
            "measure": {"repeats": 5, "min_window_s": 1e-3},
        },
        "259a0526817dac85",
    ),
    "vllm": (
        {
            "model": {"id": "tiny"},
            "backend": "vllm",
            "vllm": {"engine": {"gpu_memory_utilization": 0.8, "block_size": 16}, "sampling": {"temperature": 0.5}},
        },
        "c93dc310c8174705",
    ),
    "third party": (
        {"model": {"id": "tiny"}, "backend": "other", "options": {"b": [1, 2.5, None], "a": {"é": True}}},
        "d942fd95d3a5a079",
    ),
}


@pytest.mark.parametrize(("raw", "expected"), FROZEN.values(), ids=FROZEN.keys())
def test_hashes_are_frozen(raw: dict[str, object], expected: str) -> None:
    assert config_hash(ExperimentConfig.model_validate(raw)) == expected


def test_the_order_of_keys_and_the_seed_of_hash_do_not_matter() -> None:
    raw = FROZEN["pytorch"][0]
    turned = json.dumps({key: raw[key] for key in reversed(raw)})
    code = (
        "import sys; from pytest_llem.study.identity import ExperimentConfig, config_hash;"
        "print(config_hash(ExperimentConfig.model_validate_json(sys.argv[1])))"
    )
    found = set()
    for seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", code, turned]
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip())
    assert found == {FROZEN["pytorch"][1]}


@pytest.mark.parametrize(
    "said",
    [
        {"seed": 42},
        {"backend": "transformers"},
        {"pytorch": {}},
        {"pytorch": {"batch_size": 1, "do_sample": False}},
        {"pytorch": {"temperature": 0.3}},
        {"dataset": {"source": "synthetic"}, "measure": {"warmup": "auto"}},
    ],
)
def test_saying_a_default_or_what_has_no_effect_changes_nothing(said: dict[str, object]) -> None:
    plain = ExperimentConfig.model_validate({"model": {"id": "tiny"}})
    assert config_hash(ExperimentConfig.model_validate({"model": {"id": "tiny"}} | said)) == config_hash(plain)


@pytest.mark.parametrize(
    "said",
    [
        {"seed": 43},
        {"model": {"id": "tiny", "dtype": "float32"}},
        {"backend": "vllm"},
        {"measure": {"repeats": 4}},
        {"pytorch": {"extra": {"a": 1}}},
        {"dataset": {"order": "shuffled"}},
    ],
)
def test_what_is_measured_changes_the_hash(said: dict[str, object]) -> None:
    plain = ExperimentConfig.model_validate({"model": {"id": "tiny"}})
    assert config_hash(ExperimentConfig.model_validate({"model": {"id": "tiny"}} | said)) != config_hash(plain)


def test_where_files_lie_does_not_matter() -> None:
    def at(folder: str) -> str:
        raw = {"model": {"id": f"{folder}/llama"}, "dataset": {"source": f"{folder}/prompts.jsonl"}}
        return config_hash(ExperimentConfig.model_validate(raw))

    assert at("/home/a") == at("/mnt/b") == at("./c")


def test_the_effective_form_is_its_own_effective_form() -> None:
    for raw, _ in FROZEN.values():
        once, _ = effective(ExperimentConfig.model_validate(raw))
        assert effective(once) == (once, ())


def test_a_configuration_comes_back_from_json_as_it_was() -> None:
    for raw, expected in FROZEN.values():
        config, _ = effective(ExperimentConfig.model_validate(raw))
        again = ExperimentConfig.model_validate_json(config.model_dump_json())
        assert (again, config_hash(again)) == (config, expected)


def test_a_study_is_the_same_under_another_name_budget_runner_or_limit(load: Load) -> None:
    text = "sweep: {seed: [1, 2]}\nexecution: {cycles: 2, timeout_s: 600}\n"
    first = load(text).study_hash
    same = text.replace("600", "60") + "name: other\nrunner: docker\nbudgets: [{metric: energy_j, max: 1}]\n"
    assert load(same).study_hash == first
    assert load(text.replace("[1, 2]", "[2, 1]")).study_hash == first
    assert load(text.replace("cycles: 2", "cycles: 3")).study_hash != first
    assert load(text.replace("[1, 2]", "[1, 3]")).study_hash != first
    assert load(text.replace("cycles: 2", "cycles: 2, order: sequential")).study_hash != first
    assert load(text.replace("cycles: 2", "cycles: 2, cycle_gap_s: 1")).study_hash != first
