"""What experiments read of the host, and when they need a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llem.runners.needs import Needs, needs_of
from pytest_llem.study.config import ExperimentConfig

from .test_hub import fill


def needs(tmp_path: Path, model: str | dict[str, Any], environment: dict[str, str] | None = None, **more: Any) -> Needs:
    spec = {"id": model} if isinstance(model, str) else model
    config = ExperimentConfig.model_validate({"model": spec, **more})
    return needs_of(config, tmp_path / "study", {"HF_HUB_CACHE": str(tmp_path / "cache"), **(environment or {})})


@pytest.mark.parametrize("model", ["tiny", "shape:llama-1b"])
def test_a_built_in_model_needs_nothing(tmp_path: Path, model: str) -> None:
    assert needs(tmp_path, model) == Needs()


def test_a_hub_model_needs_a_network_until_it_is_here(tmp_path: Path) -> None:
    assert needs(tmp_path, "o/m") == Needs(network=True)
    assert needs(tmp_path, "o/m", {"HF_HUB_OFFLINE": "1"}) == Needs()
    fill(tmp_path / "cache", "config.json", "tokenizer.json", "model.safetensors")
    assert needs(tmp_path, "o/m") == Needs()
    assert needs(tmp_path, {"id": "o/m", "revision": "v2"}) == Needs(network=True)
    assert needs(tmp_path, "o/m", pytorch={"revision": "v2"}) == Needs(network=True)


@pytest.mark.parametrize(
    "more",
    [
        {"pytorch": {"assistant_model": "o/small"}},
        {"backend": "vllm", "vllm": {"engine": {"speculative_config": {"model": "o/small"}}}},
        {"dataset": {"source": "aienergyscore"}},
    ],
)
def test_what_goes_with_a_model_is_downloaded_too(tmp_path: Path, more: dict[str, Any]) -> None:
    assert needs(tmp_path, "tiny", **more) == Needs(network=True)


def test_a_tokenizer_of_its_own(tmp_path: Path) -> None:
    spec = {"id": "shape:llama-1b", "tokenizer": "o/m"}
    assert needs(tmp_path, spec) == Needs(network=True)
    fill(tmp_path / "cache", "tokenizer.json")
    assert needs(tmp_path, spec) == Needs()


def test_folders_and_files_that_are_named(tmp_path: Path) -> None:
    model, prompts = tmp_path / "model", tmp_path / "study" / "prompts.jsonl"
    model.mkdir()
    prompts.parent.mkdir()
    prompts.touch()
    assert needs(tmp_path, str(model)).read_only == (model,)
    assert needs(tmp_path, "../model").read_only == (model,)
    assert needs(tmp_path, "tiny", dataset={"source": "prompts.jsonl"}).read_only == (prompts,)
    assert needs(tmp_path, str(tmp_path / "nowhere")).read_only == ()


def test_where_a_folders_links_lead(tmp_path: Path) -> None:
    snapshot = fill(tmp_path / "hub", "config.json", "model.safetensors")
    blobs = tmp_path / "hub" / "models--o--m" / "blobs"
    assert needs(tmp_path, str(snapshot)) == Needs((snapshot, blobs))


def test_what_was_started_with_more_serves_less() -> None:
    rich = Needs((Path("/a"), Path("/b")), network=True)
    assert rich.covers(Needs((Path("/a"),)))
    assert rich.covers(rich)
    assert not Needs((Path("/a"),)).covers(rich)
    assert not Needs(rich.read_only).covers(rich)
