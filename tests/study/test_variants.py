"""``variants`` in a study file: the order of its cells, what they are, and mistakes that a file alone does not show."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_llem.errors import StudyError
from tests.study.conftest import Load, Wrong

AA = "variants: {a: {}, b: }\n"


def test_two_variants_of_an_experiment_run_in_turns(load: Load) -> None:
    found = load(AA + "sweep: {seed: [1, 2]}\nexecution: {cycles: 2, experiment_gap_s: 1, cycle_gap_s: 5}\n")
    ids = [
        "seed1-a-c1",
        "seed1-b-c1",
        "seed2-a-c1",
        "seed2-b-c1",
        "seed1-b-c2",
        "seed1-a-c2",
        "seed2-b-c2",
        "seed2-a-c2",
    ]
    assert [cell.id.removeprefix("pytorch-") for cell in found.cells] == ids
    assert [cell.gap_before_s for cell in found.cells] == [0, 1, 1, 1, 5, 1, 1, 1]
    assert len({cell.config_hash for cell in found.cells}) == 2
    assert {cell.runner.decided_by for cell in found.cells} == {"study"}


def test_also_where_each_experiment_finishes_first(load: Load) -> None:
    found = load(AA + "execution: {order: sequential}\n")
    assert "".join(cell.variant_name for cell in found.cells) == "abbaabba", "four cycles where nothing is said"


def test_cycles_and_variants_of_the_command_line_are_in_place_of_the_studys(load: Load) -> None:
    text = AA + "execution: {cycles: auto, max_cycles: 9}\n"
    found = load(text, variants="{x: {image: one}, y: {image: two}}", cycles=2)
    assert "".join(cell.variant_name for cell in found.cells) == "xyyx"
    assert [(cell.runner.kind, cell.runner.image) for cell in found.cells[:2]] == [("docker", "one"), ("docker", "two")]
    hashes = {load(text).study_hash, found.study_hash, load(text, cycles=2).study_hash}
    assert len(hashes) == 3, "a run of one cannot be gone on with as another"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"variants": "{x: {git: HEAD}, y: {}}"}, "--llem-variants:1: variants.x.git: the study is in no repository"),
        ({"variants": "{x: :}"}, "--llem-variants:1: not valid YAML"),
        ({"variants": "{x: {imgae: a}, y: }"}, r"--llem-variants:1: variants.x.imgae: .* \(did you mean image\?\)"),
        ({"variants": "3"}, "--llem-variants:1: variants: expected a mapping, got 3"),
        ({"cycles": 0}, "--llem-cycles: execution.cycles: expected"),
    ],
)
def test_mistakes_of_the_command_line(load: Load, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence):
        load("", **given)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("variants: {a: }", "bad.yaml:3: variants: two variants are compared, here are 1"),
        (
            "variants: {a-b: , c: }",
            "bad.yaml:3: variants: 'a-b' cannot be a part of an id (write letters, digits, _ . +)",
        ),
        ("variants: {a: , A: }", "bad.yaml:3: variants: the names differ in capitals only"),
        (
            "runner: docker\nvariants: {a: , b: {python: python3}}",
            (
                "bad.yaml:4: variants.b: pytorch runs in containers, and this concerns processes on the host "
                "(name two images, or write runner: local)"
            ),
        ),
    ],
)
def test_what_cannot_be_compared(wrong: Wrong, text: str, sentence: str) -> None:
    assert wrong(f"llem: 1\nmodel: tiny\n{text}\n") == [sentence]


def test_what_is_not_there(wrong: Wrong, folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    text = "llem: 1\nmodel: tiny\nvariants:\n  a: {git: mian}\n  b: {python: no/python}\n"
    assert wrong(text) == [
        "bad.yaml:4: variants.a.git: there is no revision 'mian'",
        "bad.yaml:5: variants.b.python: there is no interpreter 'no/python'",
    ]
