"""What a page is made with comes from optional packages; nothing that is put into it can become a script."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.errors import MissingDependency
from pytest_llem.report.html import libraries, render
from pytest_llem.report.html.payload import script_json
from tests.report.html.make_run import make_run


@pytest.mark.parametrize("package", ["vl_convert", "jinja2"])
def test_without_a_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str):
    pytest.importorskip(package)
    monkeypatch.setitem(sys.modules, package, None)
    libraries.chart_library.cache_clear()
    with pytest.raises(MissingDependency, match=r"pytest-llem\[report\]"):
        render(make_run(tmp_path / "run", 1), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_script_cannot_end_its_element(report_of: Callable[[int], Path]):
    script = libraries.chart_library()
    assert "vegaEmbed" in script
    assert "</script" not in script.lower()
    assert "<!--" not in script


def test_links_cannot_become_scripts():
    parts = libraries.templates().get_template("parts.html").make_module({"base": "../run"})
    made = str(parts.link('javascript:alert("1")/result.json', "<b>"))  # type: ignore[attr-defined]  # a macro
    assert made == '<a href="../run/javascript%3Aalert%28%221%22%29/result.json">&lt;b&gt;</a>'


def test_json_cannot_end_its_script():
    assert "<" not in script_json({"name": "</script><script>"})
