"""``--llem-json``: everything that a session's studies found and what was concluded, as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

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
    ``failures``: why the session as a whole failed, empty when it did not."""
    found = {
        "schema_version": SCHEMA_VERSION,
        "studies": [study.model_dump(mode="json") for study in studies],
        "over_cycles": cycles_data(over_cycles),
        "comparison": None if report is None else comparison_data(report),
        "failures": list(failures),
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def cycles_data(over_cycles: Sequence[CycleVerdicts]) -> list[dict[str, Any]]:
    """Budgets on means as plain data."""
    return [
        {
            "label": one.label,
            "config_hash": one.config_hash,
            "cycles": one.cycles,
            "verdicts": [verdict.model_dump(mode="json") for verdict in one.verdicts],
        }
        for one in over_cycles
    ]


def comparison_data(report: Report) -> dict[str, Any]:
    """A comparison as plain data; a change so large that nothing would find it is null."""
    plain = asdict(report)
    for row in plain["comparisons"]:
        row["interval"] = None if row["interval"] is None else [_finite(end) for end in row["interval"]]
        row["smallest_change"] = _finite(row["smallest_change"])
    return {"outcome": report.outcome, **plain}


def _finite(value: float | None) -> float | None:
    return None if value is None or value in (float("inf"), float("-inf")) else value
