from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llem.study.look import looks_like_study


@pytest.mark.parametrize(
    "text",
    [
        "llem: 1\n",
        "# a comment\nname: x\nllem: 1\n",
        "'llem': 1\n",
        '"llem" : 1\n',
        "{llem: 1, model: tiny}\n",
        "\ufeffllem: 1\n",
        "llem: 1\nname: [broken\n",
        "---\nllem: 2\n",
    ],
)
def test_a_top_level_key_makes_a_study(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert looks_like_study(path)


@pytest.mark.parametrize(
    "text", ["", "# llem: 1\n", "tool:\n  llem: 1\n", "llems: 1\n", "- llem\n", "llem\n", "x: 'llem: 1'\n"]
)
def test_other_files_are_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert not looks_like_study(path)


def test_a_large_study_is_seen_so_that_it_can_be_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"llem: 1\n" + b"#" * 5_000_000)
    assert looks_like_study(path)


def test_what_cannot_be_read_is_no_study(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert not looks_like_study(tmp_path / "pipe.yaml")
    assert not looks_like_study(tmp_path / "absent.yaml")
    assert not looks_like_study(tmp_path)


def test_looking_imports_neither_pydantic_nor_yaml() -> None:
    code = "import sys, pytest_llem.study.look; print(*({'pydantic', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.strip() == ""


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
