"""Paths and values in words."""

from __future__ import annotations

from pytest_llem.report.html.looks import plain, short


def test_words():
    assert short("vllm.engine.max_num_seqs") == "max_num_seqs"
    assert short("model.id") == "model.id"
    assert [plain(value) for value in (None, True, 0.5, "auto")] == ["–", "true", "0.5", "auto"]
