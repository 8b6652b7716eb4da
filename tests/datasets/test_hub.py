"""The AI Energy Score's prompts: fetched once at a fixed revision, explained where they cannot be."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from pyarrow import parquet

from pytest_llem.datasets import aienergyscore, hub
from pytest_llem.errors import DatasetError, MissingDependency


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, which has the data set, of three prompts, at the fixed revision; and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "SHA256", hashlib.sha256(b"one\0two\0three\0").hexdigest())
    folder = tmp_path / "datasets--AIEnergyScore--text_generation" / "snapshots" / hub.REVISION / "data"
    folder.mkdir(parents=True)
    for name, prompts in (("b", ["three", " "]), ("a", ["one ", "two"])):
        parquet.write_table(pyarrow.table({"text": prompts, "other": prompts}), folder / f"{name}.parquet")
    return folder


def test_what_was_fetched_once_is_read_without_a_network_in_order(cache: Path) -> None:
    assert aienergyscore() == ["one", "two", "three"]


def test_other_prompts_are_not_taken_for_these(cache: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["one", "too"]}), cache / "a.parquet")
    with pytest.raises(DatasetError, match="is not as it was: 3 prompts with the checksum ") as caught:
        aienergyscore()
    assert caught.value.hint == f"delete {cache.parent} and try again; it is downloaded anew"


def test_one_fixed_revision_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(repository: str, *, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here yet")
        asked.update(options, repository=repository)
        raise OSError("asked")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(DatasetError, match="cannot be had: asked"):
        aienergyscore()
    assert (asked["repository"], asked["repo_type"]) == ("AIEnergyScore/text_generation", "dataset")
    assert len(asked["revision"]) == 40


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DatasetError, match="AIEnergyScore/text_generation cannot be had: ") as caught:
        aienergyscore()
    assert caught.value.hint is not None
    assert "synthetic" in caught.value.hint


@pytest.mark.parametrize(("library", "extra"), [("huggingface_hub", "transformers"), ("pyarrow", "report")])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependency, match=library) as caught:
        aienergyscore()
    assert caught.value.hint == f"pip install 'pytest-llem[{extra}]'"
