"""Files are written whole or not at all, and read back with errors that say what is wrong."""

from __future__ import annotations

import json
import os
import re

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.store import RunFolder, read_result, safe_name, write_atomic
from tests.results.samples import make_result


def test_a_result_survives_the_disk_unchanged(tmp_path):
    folder = RunFolder.create(tmp_path / "rés ults", "my-study", "20260101T000000Z-abcd")
    result = make_result()
    path = folder.write_result(result)
    assert read_result(path) == result
    assert folder.run_id == "my-study-20260101T000000Z-abcd"
    assert json.loads((path.parent / "config.json").read_text()) == {}
    assert "*" in (tmp_path / "rés ults" / ".gitignore").read_text().split()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultError, match=r"manifest\.json: cannot be written: No space left") as caught:
        write_atomic(path, b"new")
    assert "--llem-results" in (caught.value.hint or "")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot be read as a result"),
        ("[]", "schema version None"),
        ('{"schema_version": 99}', "schema version 99, this pytest-llem reads up to 1"),
        ('{"schema_version": 1}', "not a result"),
    ],
)
def test_what_is_no_result_is_refused_with_its_reason(tmp_path, text, expected):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=expected):
        read_result(path)


def test_nan_is_never_written(tmp_path):
    folder = RunFolder.create(tmp_path, "s", "stamp")
    broken = make_result().model_copy(update={"energy_j": float("nan")})
    with pytest.raises(ValueError, match="nan"):
        folder.write_result(broken)


@pytest.mark.parametrize("text", ["pytorch-bs16-out128-c2", "llama-1e+20", "test_energy", "Qwen2.5", "x" * 120])
def test_a_safe_name_is_kept_as_it_is(text):
    assert safe_name(text) == text


@pytest.mark.parametrize(
    ("text", "name"), [("a/b c", "a-b-c"), ("..", "study"), ("größe", "gr-e"), ("x" * 300, "x" * 111)]
)
def test_names_are_safe_in_a_file_system(text, name):
    assert re.fullmatch(f"{name}-[0-9a-f]{{8}}", safe_name(text))
    assert len(safe_name(text)) <= 120


def test_different_names_stay_different():
    long = "x" * 120
    texts = ["org/a", "org-a", "org a", "org-a-", "größe", "grüße", long, f"{long}y", f"{long}z", "", ".", "\udcff"]
    assert len({safe_name(text) for text in texts}) == len(texts)
