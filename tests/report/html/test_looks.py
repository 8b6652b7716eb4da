"""Counts and paths in words."""

from __future__ import annotations

from pytest_llem.report.html.looks import plain, plural, short


def test_words():
    assert plural(1, "cell") == "1 cell"
    assert plural(2000, "cell") == "2,000 cells"
    assert short("vllm.engine.max_num_seqs") == "max_num_seqs"
    assert short("model.id") == "model.id"
    assert [plain(value) for value in (None, True, 0.5, "auto")] == ["–", "true", "0.5", "auto"]
