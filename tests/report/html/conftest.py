"""What tests of the HTML report share: a browser, and reports of small, middling and large runs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from pytest_llem.report.html import render
from pytest_llem.results.comparison import Comparison, Report
from tests.report.html.browser import Browser, find_chromium
from tests.report.html.make_run import make_run

COMPARED = Report(
    comparisons=(
        Comparison("pytorch-bs1", "h1", "energy_per_output_token_j", "fail", 0.03, ratio=1.06, interval=(1.04, 1.08)),
        Comparison("pytorch-bs8", "h2", "energy_per_output_token_j", "pass", 0.03, ratio=0.95, interval=(0.93, 0.97)),
        Comparison("<b>vllm</b>", "h3", "energy_per_output_token_j", "inconclusive", 0.03, reason="no cycles"),
    ),
    new=("vllm-bs8",),
)


def _needed(there: bool, what: str) -> None:
    if there:
        return
    if os.environ.get("LLEM_CI") == "1":
        pytest.fail(f"{what} is not installed, and here it must be")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    _needed(program is not None, "Chromium")
    assert program is not None
    browser = Browser(program)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The report of a run of so many cells; the one of 50 is compared with a baseline, that of 2,000 has 200 traces."""
    _needed(importlib.util.find_spec("vl_convert") is not None, "vl-convert-python")

    @cache
    def make(cells: int) -> Path:
        run = make_run(tmp_path_factory.mktemp("results") / f"run-{cells}", cells, traced=200)
        return render(run, run.parent / "reports" / "report.html", comparison=COMPARED if cells == 50 else None)

    return make
