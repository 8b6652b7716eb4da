"""The reference of results is what its generator would write from the models."""

from __future__ import annotations

import runpy

from tests.docs.pages import DOCS


def test_the_page_is_up_to_date() -> None:
    generator = runpy.run_path(str(DOCS / "generate_results.py"))
    assert (DOCS / "results.md").read_text() == generator["page"](), "run: python docs/generate_results.py"
