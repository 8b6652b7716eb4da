"""The plots of the documentation are what their script draws from the recorded traces and the page's table."""

from __future__ import annotations

import runpy
from importlib.metadata import version

import pytest

from tests.docs.pages import DOCS, ROOT


def test_the_plots_are_up_to_date() -> None:
    pytest.importorskip("vl_convert", reason="plots are drawn by the extra report")
    drawn = runpy.run_path(str(DOCS / "images" / "make_plots.py"))["drawn"]()
    pinned = (
        f"vl-convert-python=={version('vl-convert-python')}" in (ROOT / "requirements" / "constraints.txt").read_text()
    )
    for path, text in drawn.items():
        assert f"(images/{path.name})" in (DOCS / "measuring.md").read_text()
        assert path.stat().st_size < 50_000
        if pinned:  # another version may place a letter elsewhere
            assert path.read_text() == text, "run: python docs/images/make_plots.py"
