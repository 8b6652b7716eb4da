"""Prompts from files of the user's, good ones and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.datasets.files import read_texts
from pytest_llem.errors import DatasetError


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_json_lines_by_column_bare_or_default(tmp_path: Path) -> None:
    content = '{"prompt": "a", "q": "x"}\n\n{"q": "y", "prompt": "b ü"}\n'
    assert read_texts(write(tmp_path, "p.jsonl", content), None) == ["a", "b ü"]
    assert read_texts(write(tmp_path, "p.jsonl", content), "q") == ["x", "y"]
    assert read_texts(write(tmp_path, "bare.jsonl", '"one"\n"two"\n'), None) == ["one", "two"]


def test_csv_with_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    content = 'id,prompt\r\n1,"Hello, ""you"""\r\n2,"two\nlines"\r\n'
    assert read_texts(write(tmp_path, "p.csv", content), None) == ['Hello, "you"', "two\nlines"]
    assert read_texts(write(tmp_path, "p.csv", content), "id") == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_texts(write(tmp_path, "p.csv", b"\xef\xbb\xbfprompt\nhello\n"), None) == ["hello"]
    assert read_texts(write(tmp_path, "p.jsonl", b'\xef\xbb\xbf"hello"\n'), None) == ["hello"]


@pytest.mark.parametrize(
    ("name", "content", "column", "message", "hint"),
    [
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": \n', None, r"p\.jsonl:2: not JSON", None),
        ("p.jsonl", '{"promt": "a"}\n', None, r"p\.jsonl:1: no column 'prompt'", "did you mean 'promt'?"),
        ("p.jsonl", '{"a": "x", "b": "y"}\n', None, "no column 'prompt'", "set dataset.column to one of: a, b"),
        ("p.jsonl", '{"prompt": 5}\n', None, r"p\.jsonl:1: the prompt is not a text", None),
        ("p.jsonl", "[1, 2]\n", None, r"p\.jsonl:1: the prompt is not a text", None),
        ("p.jsonl", '{"prompt": "  "}\n', None, r"p\.jsonl:1: .*empty", None),
        ("p.jsonl", "\n\n", None, "holds no prompts", None),
        ("p.csv", "prompt\n", None, "holds no prompts", None),
        ("p.csv", "text,n\nhello,1\n", "txt", r"p\.csv:2: no column 'txt'", "did you mean 'text'?"),
        ("p.csv", "id,prompt\n1\n", None, r"p\.csv:2: the prompt is not a text", None),
        ("p.csv", "prompt\na\n" + "x" * 200_000 + "\n", None, r"p\.csv:.*: not CSV", None),
        ("p.jsonl", b'"caf\xe9"\n', None, r"is not UTF-8 text \(byte 4\)", "save it as UTF-8"),
    ],
)
def test_a_bad_file_names_file_line_and_remedy(
    tmp_path: Path, name: str, content: str | bytes, column: str | None, message: str, hint: str | None
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read_texts(write(tmp_path, name, content), column)
    assert caught.value.hint == hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.jsonl cannot be read: No such file"):
        read_texts(str(tmp_path / "none.jsonl"), None)


def test_a_source_of_another_kind() -> None:
    with pytest.raises(DatasetError, match=r"unknown dataset source 'prompts\.txt'"):
        read_texts("prompts.txt", None)


def test_a_line_that_is_no_json_is_told_with_its_own_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"p\.jsonl:1: not JSON: Exceeds the limit"):
        read_texts(write(tmp_path, "p.jsonl", "1" * 5000), None)
    path = write(tmp_path, "p.jsonl", '"a"\n"b"\n{"prompt": "c"\n')
    with pytest.raises(DatasetError, match=r"p\.jsonl:3: not JSON: Expecting ',' delimiter \(column 15\)"):
        read_texts(path, None)
