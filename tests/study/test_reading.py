from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_llem.errors import StudyError
from pytest_llem.study.document import Place
from pytest_llem.study.reading import MOST_NODES, parse, read_text


def test_each_key_knows_its_line() -> None:
    document = parse("llem: 1\nsweep:\n  a.b:\n    - 1\n    - 2\nx: {y: 3}\n", "s.yaml")
    assert document.place(("sweep", "a.b", 1)) == Place("s.yaml", 5)
    assert document.place(("x", "y")) == Place("s.yaml", 6)
    assert document.place(("sweep", "a.b", 7, "z")) == Place("s.yaml", 3), "an unknown key lies where its parent lies"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0", 0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    found = parse(f"a: {text}\n", "s").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["yes", "on", "No", "1_000", "12:30", "0x10", "010", "0o7", "2026-01-01", "1.2.3", "="]
)
def test_what_yaml_1_1_would_turn_into_something_else_stays_text(text: str) -> None:
    assert parse(f"a: {text}\n", "s").data == {"a": text}


def test_a_key_is_text_whatever_it_looks_like() -> None:
    assert parse("on: 1\n1: 2\ntrue: 3\nnull: 4\n", "s").data == {"on": 1, "1": 2, "true": 3, "null": 4}


def test_aliases_stand_for_their_anchor() -> None:
    document = parse("a: &x {b: [1, 2]}\nc: *x\nd:\n  - *x\n", "s")
    assert document.data["c"] == document.data["a"] == document.data["d"][0]  # type: ignore[index]  # a list, as written


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    begun = time.perf_counter()
    with pytest.raises(StudyError, match=f"s:6: the file expands to more than {MOST_NODES} values"):
        parse("\n".join(lines), "s")
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: *nowhere"])
def test_an_alias_needs_an_anchor_before_it(text: str) -> None:
    with pytest.raises(StudyError, match=r"s:1: the alias \*\w+ has no anchor before it"):
        parse(text, "s")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(StudyError):
        parse(text, "s")
    assert time.perf_counter() - begun < 1


def test_only_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(StudyError, match="is not a file"):
        read_text(tmp_path / "pipe.yaml")
    with pytest.raises(StudyError, match=r"is not a file \(name one study in it\)"):
        read_text(tmp_path)
    with pytest.raises(StudyError, match="cannot be read: No such file or directory"):
        read_text(tmp_path / "absent.yaml")


def test_a_large_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"llem: 1\n" + b"[" * 5_000_000)
    with pytest.raises(StudyError, match=r"the file has 5.0 MB; a study file may have 1 MB"):
        read_text(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfllem: 1\n")
    assert read_text(path) == "llem: 1\n"
