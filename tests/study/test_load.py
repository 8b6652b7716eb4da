"""From Python, with what surrounds a study, and at size."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_llem.errors import StudyError
from pytest_llem.study.budget import Budget
from pytest_llem.study.load import load_study, study_from_mapping
from pytest_llem.study.runner import Overrides, RunnerChoice
from tests.study.conftest import Load

QUIET = Overrides(environment={})


def test_a_mapping_is_the_same_study_as_its_file(load: Load) -> None:
    written = load("name: x\nsweep: {pytorch.batch_size: [1, 2]}\nbudgets: [{metric: energy_j, max: 5 J}]\n")
    made = study_from_mapping(
        {
            "model": "tiny",
            "sweep": {"pytorch.batch_size": (1, 2)},
            "budgets": [Budget(metric="energy_j", max=5)],
        },
        name="x",
        overrides=QUIET,
    )
    assert made.study_hash == written.study_hash
    assert [cell.id for cell in made.cells] == [cell.id for cell in written.cells]
    assert [cell.budgets for cell in made.cells] == [cell.budgets for cell in written.cells]
    assert (made.path, made.name) == (None, "x")


def test_mistakes_in_a_mapping_are_told_without_lines() -> None:
    with pytest.raises(StudyError) as caught:
        study_from_mapping({"model": "tiny", "seed": -1, "sweep": {"seed": range(0)}}, name="x", overrides=QUIET)
    assert str(caught.value).splitlines() == [
        "<python>: seed: expected a value at least 0, got -1",
        "<python>: sweep.seed: the list is empty (give at least one value, or leave the key out)",
    ]


def test_a_mapping_may_hold_what_a_file_may_hold(tmp_path: Path) -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless
    with pytest.raises(StudyError) as caught:
        study_from_mapping(
            {"model": tmp_path, "seed": object(), "pytorch": endless}, name="x", where="a.py", overrides=QUIET
        )
    first, second = str(caught.value).splitlines()
    assert first == "a.py: seed: a study cannot hold a object"
    assert second.endswith("is nested deeper than 40 levels")


def test_seed_and_time_limit_follow_the_order_of_precedence(load: Load) -> None:
    said = "seed: 2\nexecution: {timeout_s: 20}"

    def found(text: str, **overrides: object) -> tuple[int, float]:
        cell = load(text, **overrides).cells[0]
        return cell.config.seed, cell.timeout_s

    assert found("") == (42, 600)
    assert found("", seed_ini=3, timeout_ini_s=30) == (3, 30)
    assert found(said, seed_ini=3, timeout_ini_s=30) == (2, 20)
    assert found(said, seed=1, timeout_s=10, seed_ini=3, timeout_ini_s=30) == (1, 10)


def test_a_key_without_a_value_is_as_good_as_absent(load: Load) -> None:
    plain, empty = load(""), load("seed:\nbackend:\nmax_output_tokens:\npytorch:\nsweep:\nexecution:\n")
    assert [cell.config for cell in empty.cells] == [cell.config for cell in plain.cells]
    with pytest.raises(StudyError, match="no model is given"):
        study_from_mapping({"model": None}, name="x", overrides=QUIET)


def test_a_seed_from_the_command_line_makes_swept_seeds_one(load: Load) -> None:
    study = load("sweep: {seed: [1, 2, 3]}", seed=9)
    assert [cell.config.seed for cell in study.cells] == [9]
    assert len(study.merged) == 2


def test_the_environment_is_read_where_nothing_else_is_given(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("")
    monkeypatch.setenv("LLEM_RUNNER_PYTORCH", "docker:from/env")
    assert load_study(folder / "study.yaml").cells[0].runner == RunnerChoice("docker", "from/env", "environment")


def test_a_study_keeps_what_it_was_made_from(load: Load) -> None:
    study = load("description: Why.\nexecution: {retries: 2, max_consecutive_failures: 0}\n")
    assert study.description == "Why."
    assert study.source.startswith("llem: 1\nmodel: tiny\ndescription")
    assert (study.execution.retries, study.execution.max_consecutive_failures) == (2, 0)
    assert (study.execution.silence_timeout_s, study.execution.study_timeout_s) == (300, None)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("a b (c)", "a_b_c"),
        ("...", "study"),
        ("größe", "größe"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 71 + "-4d1f7bb8"),
    ],
)
def test_the_name_of_a_study_comes_from_its_file(folder: Path, stem: str, name: str) -> None:
    path = folder / f"{stem}.yaml"
    path.write_text("llem: 1\nmodel: tiny\n")
    assert load_study(str(path), overrides=QUIET).name == name


AXES = "backend: {}\nsweep:\n  max_output_tokens: {ten}\n  dataset.input_tokens: {ten}\n  seed: {ten}\n"
LARGE = {
    "pytorch": AXES.format("pytorch", ten=list(range(1, 11))) + f"  pytorch.batch_size: {list(range(1, 11))}\n",
    "vllm": AXES.format("vllm", ten=list(range(1, 11))) + f"  vllm.engine.max_num_seqs: {list(range(1, 11))}\n",
    "explicit": "experiments:\n" + "".join(f"- {{pytorch: {{batch_size: {n}}}}}\n" for n in range(1, 10_001)),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_ten_thousand_cells_expand_in_two_seconds(load: Load, text: str) -> None:
    load("")  # what is imported and compiled once
    begun = time.process_time()
    study = load(text)
    assert time.process_time() - begun < 2
    assert len({cell.id for cell in study.cells}) == 10_000
    assert len({cell.config_hash for cell in study.cells}) == 10_000
