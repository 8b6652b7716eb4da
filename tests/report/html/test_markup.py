"""Text from files is escaped."""

from __future__ import annotations

from pytest_llem.report.html.markup import link, plural, short
from pytest_llem.report.html.payload import script_json


def test_links_cannot_become_scripts():
    made = link('javascript:alert("1")/result.json', "<b>", "../run")
    assert made == '<a href="../run/javascript%3Aalert%28%221%22%29/result.json">&lt;b&gt;</a>'


def test_json_cannot_end_its_script():
    assert "<" not in script_json({"name": "</script><script>"})


def test_words():
    assert plural(1, "cell") == "1 cell"
    assert plural(2000, "cell") == "2,000 cells"
    assert short("vllm.engine.max_num_seqs") == "max_num_seqs"
    assert short("model.id") == "model.id"
