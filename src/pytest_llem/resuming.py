"""``--llem-resume``: the run that this session goes on with, found and held before anything is collected."""

from __future__ import annotations

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.options import options_of
from pytest_llem.results.resume import find_stamp
from pytest_llem.results.run import Run


def resume(config: pytest.Config) -> tuple[str, list[Run]]:
    """The stamp of the run to go on with, and its runs, held; raises pytest.UsageError."""
    options = options_of(config)
    assert options.resume is not None
    start = config.invocation_params.dir
    places = [(start / argument.partition("::")[0]).resolve() for argument in config.args]
    try:
        stamp = find_stamp(options.results, options.resume, places)
        runs = [Run.open(path.parent) for path in sorted(options.results.glob(f"*-{stamp}*/manifest.json"))]
        for run in runs:
            run.hold()
            run.resume()
    except ResultError as error:
        raise pytest.UsageError(str(error)) from None
    return stamp, runs
