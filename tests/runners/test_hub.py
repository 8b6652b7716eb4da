"""The hub's cache, as its own library lays it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llem.runners.hub import has_dataset, has_model, has_tokenizer, hub_cache, is_offline

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fill(cache: Path, *files: str, name: str = "models--o--m") -> Path:
    """A repository in the cache with these files, at branch main."""
    repository = cache / name
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    (repository / "blobs").mkdir(exist_ok=True)
    for number, file in enumerate(files):
        blob = repository / "blobs" / f"{number:x}"
        blob.write_text("{}")
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).symlink_to(blob)
    return snapshot


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_where_it_is(environment: dict[str, str], cache: str) -> None:
    assert hub_cache(environment) == Path(cache)


def test_a_whole_model_is_found_by_branch_and_by_commit(tmp_path: Path) -> None:
    fill(tmp_path, "config.json", "tokenizer.json", "model.safetensors")
    assert has_model(tmp_path, "o/m")
    assert has_model(tmp_path, "o/m", "main")
    assert has_model(tmp_path, "o/m", COMMIT)
    assert has_tokenizer(tmp_path, "o/m")
    assert not has_model(tmp_path, "o/m", "v2")
    assert not has_model(tmp_path, "o/other")


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("config.json", "tokenizer.json"),
        ("config.json", "model.safetensors"),
        ("tokenizer.json", "model.safetensors"),
    ],
)
def test_a_model_of_which_something_is_missing_is_not_here(tmp_path: Path, files: tuple[str, ...]) -> None:
    fill(tmp_path, *files)
    assert not has_model(tmp_path, "o/m")


def test_every_part_that_the_index_lists_must_be_here(tmp_path: Path) -> None:
    snapshot = fill(tmp_path, "config.json", "tokenizer.json", "model-00001-of-00002.safetensors")
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(enumerate(parts))}))
    assert not has_model(tmp_path, "o/m")
    (snapshot / parts[1]).touch()
    assert has_model(tmp_path, "o/m")


def test_an_index_that_cannot_be_read_is_no_model(tmp_path: Path) -> None:
    snapshot = fill(tmp_path, "config.json", "tokenizer.json", "model.safetensors")
    (snapshot / "model.safetensors.index.json").write_text("[]")
    assert not has_model(tmp_path, "o/m")


def test_a_data_set(tmp_path: Path) -> None:
    assert not has_dataset(tmp_path, "o/d", COMMIT, "*.parquet")
    fill(tmp_path, "data/train.parquet", name="datasets--o--d")
    assert has_dataset(tmp_path, "o/d", COMMIT, "*.parquet")
    assert not has_dataset(tmp_path, "o/d", COMMIT, "*.csv")


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_downloads_that_are_forbidden(value: str, offline: bool) -> None:
    assert is_offline({"HF_HUB_OFFLINE": value}) is offline
    assert is_offline({"TRANSFORMERS_OFFLINE": value}) is offline
