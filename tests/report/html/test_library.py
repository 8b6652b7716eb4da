"""The plotting library comes from an optional package, and its absence is said with what to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.errors import MissingDependency
from pytest_llem.report.html import library, render
from tests.report.html.make_run import make_run


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    library.chart_library.cache_clear()
    with pytest.raises(MissingDependency, match=r"pytest-llem\[report\]"):
        render(make_run(tmp_path / "run", 1), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_script_cannot_end_its_element(report_of: Callable[[int], Path]):
    script = library.chart_library()
    assert "vegaEmbed" in script
    assert "</script" not in script.lower()
    assert "<!--" not in script
