"""The JSON that github-action-benchmark reads (its custom tools), to draw figures over the commits of a branch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

from pytest_llem.errors import LlemError
from pytest_llem.report.words import plural
from pytest_llem.results.baseline import Baseline, Entry
from pytest_llem.results.rules import HIGHER_IS_BETTER
from pytest_llem.results.tdist import quantile
from pytest_llem.study.metrics import metric_named

DEFAULT_METRICS = ("energy_per_output_token_j",)


def benchmark_json(run: Baseline, metrics: Sequence[str] = DEFAULT_METRICS) -> str:
    """A JSON list with the mean over cycles of each metric of each configuration; ``range`` is half its 95 % interval.

    One file is either for ``customSmallerIsBetter`` or for ``customBiggerIsBetter``: metrics of both kinds raise
    LlemError, as does an unknown one. A configuration without valid figures is left out."""
    units = {metric: metric_named(metric).unit for metric in metrics}
    if len({metric.partition(".")[0] in HIGHER_IS_BETTER for metric in metrics}) > 1:
        raise LlemError(
            "figures of which more is better and figures of which less is better cannot share a file",
            hint="write two files, for customSmallerIsBetter and for customBiggerIsBetter",
        )
    rows = [_row(entry, metric, unit) for entry in run.configurations for metric, unit in units.items()]
    return json.dumps([row for row in rows if row is not None], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(entry: Entry, metric: str, unit: str) -> dict[str, str | float] | None:
    values = np.array(entry.values(metric))
    n = len(values)
    if not n:
        return None
    row: dict[str, str | float] = {
        "name": f"{entry.label} {metric}",
        "unit": unit or "1",
        "value": float(values.mean()),
    }
    if n > 1:
        half = float(quantile(0.975, np.array(n - 1.0))) * float(values.std(ddof=1)) / math.sqrt(n)
        row["range"] = f"± {half:.3g}"
    measured = "measured" if entry.measured else "ESTIMATED"
    cycles = plural(n, "cycle")
    row["extra"] = f"{cycles}, {measured} ({entry.energy_source}), {', '.join(entry.models) or 'no GPU'}"
    return row
