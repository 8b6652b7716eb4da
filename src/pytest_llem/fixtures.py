"""Fixtures for study items and for ordinary test files. Light to import; what they need is imported when they are used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llem.options import options_of

if TYPE_CHECKING:
    from pytest_llem.live import WatchedBench


@pytest.fixture(scope="session")
def llem_bench(request: pytest.FixtureRequest) -> Iterator[WatchedBench]:
    """What runs experiments in this process; internal to study items and to :func:`llem`."""
    from pytest_llem.live import WatchedBench

    bench = WatchedBench(request.config)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def llem_results_dir(request: pytest.FixtureRequest) -> Path:
    """Where results go (``--llem-results``)."""
    return options_of(request.config).results
