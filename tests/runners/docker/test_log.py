"""The bounded log."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_llem.runners.docker.worker import BoundedLog


def written(path: Path, chunks: list[bytes], half: int) -> bytes:
    path.unlink(missing_ok=True)
    log = BoundedLog(path, half)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    return path.read_bytes() if path.exists() else b""


@given(st.lists(st.binary(max_size=30)), st.integers(1, 40))
def test_beginning_and_end_are_kept(chunks: list[bytes], half: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = written(Path(folder, "log"), chunks, half)
    whole = b"".join(chunks)
    if len(whole) <= 2 * half:
        assert found == whole
    assert found.startswith(whole[:half])
    assert found.endswith(whole[half:][-half:])
    assert len(found) <= 2 * half + 30 + len("\n[1000 bytes left out]\n")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    assert written(tmp_path / "log", [b"a" * 4, b"b" * 3, b"c" * 4], 4) == b"aaaa\n[3 bytes left out]\ncccc"


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    assert written(tmp_path / "no" / "folder" / "log", [b"x"], 4) == b""
