from __future__ import annotations

import re

import pytest

from pytest_llem.study.naming import LONGEST, Names, unique
from tests.study.conftest import Load


def label(swept: dict[str, str | int | float | bool | None], backend: str = "pytorch") -> str:
    return Names(list(swept)).label(backend, swept)


@pytest.mark.parametrize(
    ("swept", "expected"),
    [
        ({}, "pytorch"),
        ({"pytorch.batch_size": 16, "max_output_tokens": 128}, "pytorch-bs16-out128"),
        ({"dataset.input_tokens": 64}, "pytorch-in64"),
        ({"pytorch.dtype": "bfloat16"}, "pytorch-bfloat16"),
        ({"model.id": "meta-llama/Llama-3.1-8B"}, "pytorch-Llama-3.1-8B"),
        ({"model.id": "/data/models/mine"}, "pytorch-mine"),
        ({"model.id": "shape:llama-1b"}, "pytorch-shape-llama-1b"),
        ({"pytorch.use_cache": False}, "pytorch-no-cache"),
        ({"pytorch.use_cache": True}, "pytorch-cache"),
        ({"pytorch.torch_compile": False}, "pytorch-no-compile"),
        ({"vllm.engine.enforce_eager": True}, "pytorch-eager"),
        ({"measure.warmup": "auto"}, "pytorch-warmup-auto"),
        ({"measure.warmup": 3}, "pytorch-warmup3"),
        ({"pytorch.num_beams": None}, "pytorch-default-beams"),
        ({"pytorch.no_repeat_ngram_size": 2}, "pytorch-nrns2"),
        ({"dataset.source": "data/my prompts.jsonl"}, "pytorch-my-prompts"),
        ({"model.id": "a=b c/d e=f"}, "pytorch-d-e-f"),
        ({"instant.x": "ü 模型"}, "pytorch-x"),
    ],
)
def test_labels(swept: dict[str, str | int | float | bool | None], expected: str) -> None:
    assert label(swept) == expected


def test_two_paths_never_share_a_name() -> None:
    swept = {"vllm.engine.a_b_c": 1, "vllm.engine.axe_bow_cup": 1, "instant.seconds": 1, "instant.deep.seconds": 1}
    assert label(swept, "vllm") == "vllm-a_b_c1-axe_bow_cup1-instant_seconds1-instant_deep_seconds1"


def test_paths_of_different_backends_may_share_a_name() -> None:
    names = Names(["pytorch.temperature", "vllm.sampling.temperature"])
    assert names.label("vllm", {"vllm.sampling.temperature": 0.5}) == "vllm-temp0.5"


def test_a_long_label_is_cut_and_stays_different() -> None:
    one, other = (label({"model.id": "x" * 200 + end}) for end in "ab")
    assert len(one) == LONGEST
    assert one != other


def test_labels_that_are_alike_get_a_piece_of_the_hash() -> None:
    found = unique({"1" * 16: "a", "2" * 16: "b", "3" * 16: "A"})
    assert found == {"1" * 16: "a-11111111", "3" * 16: "A-33333333"}


def test_ids_are_unique_and_safe(load: Load) -> None:
    study = load(
        """\
        execution: {cycles: 2}
        sweep:
          model: [org/one, other/one, ORG/ONE, 'a b/c=d', 模型/模型, 'shape:llama-1b']
          pytorch.batch_size: [1, 2]
          pytorch.use_cache: [true, false]
    """
    )
    names = [cell.id for cell in study.cells]
    assert len({name.lower() for name in names}) == len(names) == 6 * 2 * 2 * 2
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name) for name in names)
    assert all(name.endswith(("-c1", "-c2")) for name in names)
