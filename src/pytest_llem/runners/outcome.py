"""The result of one experiment, put together from what was observed, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llem.energy.timeseries import write_timeseries
from pytest_llem.energy.trace import Trace
from pytest_llem.results.budgets import judge
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.store import TIMESERIES
from pytest_llem.runners import fields, quality
from pytest_llem.runners.assemble import Observed, evaluate
from pytest_llem.study.study import Cell
from pytest_llem.version import __version__


def build(
    cell: Cell, seen: Observed, folder: Path, *, notes: Sequence[str], **circumstances: object
) -> tuple[ExperimentResult, tuple[Trace, ...]]:
    """The result, judged against the cell's budgets, and the traces to be kept beside it.

    ``folder`` is where the time series is written to; ``circumstances`` are fields of the result as they are."""
    measured = evaluate(seen)
    no_timeseries = write_timeseries(folder / TIMESERIES, seen.recording)
    found: fields.Fields = {
        **circumstances,
        "tool_version": __version__,
        "study": cell.study,
        "cell_id": cell.id,
        "config_hash": cell.config_hash,
        "cycle": cell.cycle,
        "config": cell.config.model_dump(mode="json"),
        "variant": {} if cell.variant is None else cell.variant.facts(),
        "repeats": measured.windows,
        "timeseries": None if no_timeseries else TIMESERIES,
        "cpu_energy_j": fields.cpu_energy(seen),
        **fields.work(seen.worker),
        **fields.latency(seen.worker),
        **fields.phases(measured),
        **fields.memory(seen),
        **quality.quality(seen, notes),
    }
    found |= fields.energy(measured, seen, found)
    found |= fields.compute(seen, cell.config, found)
    found["validity"] = quality.validity(measured, seen, found, no_timeseries)
    result = ExperimentResult.model_validate(found)
    return result.model_copy(update={"verdicts": judge(result, cell.budgets)}), measured.traces
