"""The AI Energy Score's prompts: fetched once at a fixed revision, explained where they cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow
import pytest
from pyarrow import parquet

from pytest_llem.datasets import hub
from pytest_llem.errors import DatasetError, MissingDependency


def test_all_prompts_of_the_fixed_revision_are_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, prompts in (("b", ["three"]), ("a", ["one", "two"])):
        (tmp_path / "data").mkdir(exist_ok=True)
        parquet.write_table(pyarrow.table({"text": prompts, "other": prompts}), tmp_path / "data" / f"{name}.parquet")
    asked: dict[str, Any] = {}

    def download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.read_aienergyscore() == ["one", "two", "three"]
    assert (asked["repository"], asked["repo_type"]) == ("AIEnergyScore/text_generation", "dataset")
    assert len(asked["revision"]) == 40


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DatasetError, match="AIEnergyScore/text_generation cannot be had: ") as caught:
        hub.read_aienergyscore()
    assert caught.value.hint is not None
    assert "synthetic" in caught.value.hint


@pytest.mark.parametrize(("library", "extra"), [("huggingface_hub", "transformers"), ("pyarrow", "report")])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependency, match=library) as caught:
        hub.read_aienergyscore()
    assert caught.value.hint == f"pip install 'pytest-llem[{extra}]'"
