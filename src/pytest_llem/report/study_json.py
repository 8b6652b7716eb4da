"""``--llem-json``: everything that a session's studies found and what was concluded, as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from pytest_llem.results.comparison import Report
from pytest_llem.results.cycles import CycleVerdicts
from pytest_llem.results.model import SCHEMA_VERSION
from pytest_llem.results.study_result import StudyResult


def study_json(
    studies: Sequence[StudyResult],
    over_cycles: Sequence[CycleVerdicts],
    report: Report | None,
    failures: Sequence[str],
) -> str:
    """``studies``: each a StudyResult; ``over_cycles``: budgets on means; ``comparison``: null without a baseline;
    ``failures``: why the session failed: experiments, means over budget, the comparison; empty when it did not."""
    found = {
        "schema_version": SCHEMA_VERSION,
        "studies": studies,
        "over_cycles": over_cycles,
        "comparison": None if report is None else comparison_data(report),
        "failures": failures,
    }
    return to_json(found, indent=1, inf_nan_mode="null").decode() + "\n"


def plain(found: object) -> Any:
    """Dataclasses and models as plain data; a change so large that nothing would find it is null."""
    return json.loads(to_json(found, inf_nan_mode="null"))


def comparison_data(report: Report) -> dict[str, Any]:
    """A comparison as plain data."""
    return {"outcome": report.outcome, **plain(report)}
