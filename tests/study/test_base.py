from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.errors import StudyError
from pytest_llem.study.load import load_study
from pytest_llem.study.runner import Overrides
from pytest_llem.study.study import Study

QUIET = Overrides(environment={})


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".yaml").write_text(text)


def load(folder: Path, name: str = "study.yaml") -> Study:
    return load_study(folder / name, overrides=QUIET)


def test_a_base_gives_defaults_and_mappings_merge_deeply(folder: Path) -> None:
    write(
        folder,
        common__base="model: tiny\nname: base\npytorch: {batch_size: 4, use_cache: false}\nsweep: {seed: [1, 2]}\n",
        study="llem: 1\nbase: common/base.yaml\nmodel: {dtype: float32}\n"
        "pytorch: {batch_size: 8}\nsweep: {dataset.n: [3]}\n",
    )
    study = load(folder)
    assert study.name == "study", "a name is not inherited: two studies on one base would share it"
    assert [cell.id for cell in study.cells] == ["pytorch-seed1-n3", "pytorch-seed2-n3"]
    config = study.cells[0].config
    assert (config.model.id, config.model.dtype) == ("tiny", "float32")
    assert config.pytorch is not None
    assert (config.pytorch.batch_size, config.pytorch.use_cache) == (8, False)


def test_a_list_replaces_a_list_and_null_removes(folder: Path) -> None:
    write(
        folder,
        base="model: tiny\nsweep: {seed: [1, 2]}\nbudgets: [{metric: energy_j, max: 1}]\nvllm: {engine: {}}\n",
        study="llem: 1\nbase: base.yaml\nsweep: {seed: [7]}\nbudgets:\n",
    )
    study = load(folder)
    assert [cell.swept for cell in study.cells] == [{"seed": 7}]
    assert study.cells[0].budgets == ()


def test_a_shared_base_may_have_sections_that_this_study_does_not_use(folder: Path) -> None:
    write(folder, base="vllm: {engine: {block_size: 16}}\n", study="llem: 1\nbase: base.yaml\nmodel: tiny\n")
    assert [cell.id for cell in load(folder).cells] == ["pytorch"]


def test_bases_have_bases(folder: Path) -> None:
    write(
        folder,
        a__one="model: tiny\nbase: ../two.yaml\nseed: 1\n",
        two="seed: 2\nmax_output_tokens: 5\n",
        study="llem: 1\nbase: a/one.yaml\n",
    )
    config = load(folder).cells[0].config
    assert (config.seed, config.max_output_tokens) == (1, 5)


def test_a_mistake_in_a_base_names_the_base(folder: Path) -> None:
    write(
        folder,
        base="model: tiny\npytorch:\n  batch_size: 0\n  foo: 1\n",
        study="llem: 1\nbase: base.yaml\nsweep:\n  seed: []\n",
    )
    with pytest.raises(StudyError) as caught:
        load(folder)
    assert str(caught.value).splitlines() == [
        "base.yaml:3: pytorch.batch_size: expected a value at least 1, got 0",
        "base.yaml:4: pytorch.foo: unknown key",
        "study.yaml:4: sweep.seed: the list is empty (give at least one value, or leave the key out)",
    ]


def test_a_missing_base_is_told_with_the_other_mistakes(folder: Path) -> None:
    write(folder, study="llem: 1\nbase: absent.yaml\nmodel: tiny\nseed: x\n")
    with pytest.raises(StudyError) as caught:
        load(folder)
    assert str(caught.value).splitlines() == [
        "study.yaml:2: base: there is no file absent.yaml (the path is relative to this file)",
        "study.yaml:4: seed: expected a whole number, got 'x'",
    ]


def test_a_cycle_names_its_chain(folder: Path) -> None:
    write(
        folder, study="llem: 1\nbase: one.yaml\nmodel: tiny\n", one="base: two.yaml\n", two="x: 1\nbase: study.yaml\n"
    )
    with pytest.raises(StudyError) as caught:
        load(folder)
    assert (
        "two.yaml:2: base: the files are based on each other: study.yaml -> one.yaml -> two.yaml -> study.yaml"
        in str(caught.value)
    )


@pytest.mark.parametrize(
    ("value", "message"), [("3", "expected text, got 3"), ("'a\\0b'", "there is no file"), ("''", "there is no file")]
)
def test_a_base_that_is_no_path(folder: Path, value: str, message: str) -> None:
    write(folder, study=f"llem: 1\nmodel: tiny\nbase: {value}\n")
    with pytest.raises(StudyError, match=f"study.yaml:3: base: {message}"):
        load(folder)
