"""What a user reads who made a mistake: file, line, key, what is wrong, and what was probably meant.

Each file in ``mistakes`` holds a study, a line ``==== says``, and the whole text of its error.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.conftest import Wrong

WRITTEN = sorted(Path(__file__).with_name("mistakes").glob("*.txt"))
HUNDRED = list(range(1, 101))
THREE_HUNDREDS = f"seed: {HUNDRED}, max_output_tokens: {HUNDRED}, dataset.n: {HUNDRED}"
MADE: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "bad.yaml:1: the file is empty; a study is a mapping that starts with llem: 1"),
    "not UTF-8": (
        b"llem: 1\nname: caf\xe9\n",
        "bad.yaml:2: the file is not UTF-8 text (save it with the encoding UTF-8)",
    ),
    "control character": (
        b"llem: 1\nname: a\x00b\n",
        "bad.yaml:2: not valid YAML: control characters are not allowed",
    ),
    "5 MB": (b"llem: 1\n" + b"#" * 4_999_992, "bad.yaml: the file has 5.0 MB; a study file may have 1 MB"),
    "large grid": (
        f"llem: 1\nmodel: tiny\nsweep: {{{THREE_HUNDREDS}}}\n",
        "bad.yaml:3: sweep: the study makes 1000000 cells; the limit is 10000 (split it)",
    ),
    "large grid in an entry": (
        f"llem: 1\nmodel: tiny\nsweep: {{g: [{{{THREE_HUNDREDS}}}]}}\n",
        "bad.yaml:3: sweep.g[0]: the lists of this entry make 1000000 alternatives; the limit is 10000",
    ),
}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_every_mistake_is_told_with_its_line_and_key(wrong: Wrong, path: Path) -> None:
    text, says = path.read_text(encoding="utf-8").split("==== says\n")
    assert wrong(text) == says.splitlines()


@pytest.mark.parametrize(("text", "says"), MADE.values(), ids=MADE.keys())
def test_files_that_are_wrong_as_a_whole(wrong: Wrong, text: str | bytes, says: str) -> None:
    assert wrong(text) == [says]


def test_a_file_full_of_mistakes_shows_the_first_hundred(wrong: Wrong) -> None:
    lines = wrong("llem: 1\nmodel: tiny\npytorch:\n" + "".join(f"  key_{n}: 1\n" for n in range(20_000)))
    assert len(lines) == 101
    assert lines[0] == "bad.yaml:4: pytorch.key_0: unknown key"
    assert lines[-1].endswith("more mistakes")
