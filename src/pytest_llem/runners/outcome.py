"""The result of one experiment, put together from what was measured and from the circumstances it was measured in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_llem.energy.idle import Finding
from pytest_llem.energy.recording import Recording
from pytest_llem.energy.trace import Trace
from pytest_llem.results.budgets import judge
from pytest_llem.results.model import ExperimentResult
from pytest_llem.runners import fields, quality
from pytest_llem.runners.assemble import evaluate
from pytest_llem.runners.worker_result import WorkerResult
from pytest_llem.study.study import Cell


@dataclass(frozen=True)
class Circumstances:
    """What a result says besides what was measured."""

    tool_version: str
    run_id: str
    environment_hash: str
    started_at: str
    finished_at: str
    runner: dict[str, str]
    lock_wait_s: float
    margin_s: float  # idle time on each side of every window, s
    idle: tuple[float, float] | None  # when the devices were watched without the worker, CLOCK_MONOTONIC s
    findings: tuple[Finding, ...] = ()  # what was wrong with the devices before the experiment, or came during it
    notes: tuple[str, ...] = ()  # what else a reader should know


def build(
    cell: Cell,
    worker: WorkerResult,
    recording: Recording,
    beside: Recording | None,
    around: Circumstances,
    folder: Path,
) -> tuple[ExperimentResult, tuple[Trace, ...]]:
    """The result, judged against the cell's budgets, and the traces to be kept beside it.

    ``folder`` is where the time series is written to."""
    measured = evaluate(worker, recording, around.margin_s)
    found: fields.Fields = {
        "tool_version": around.tool_version,
        "run_id": around.run_id,
        "study": cell.study,
        "cell_id": cell.id,
        "config_hash": cell.config_hash,
        "environment_hash": around.environment_hash,
        "cycle": cell.cycle,
        "started_at": around.started_at,
        "finished_at": around.finished_at,
        "config": cell.config.model_dump(mode="json"),
        "runner": around.runner,
        "variant": {} if cell.variant is None else cell.variant.facts(),
        "lock_wait_s": around.lock_wait_s,
        "repeats": measured.windows,
        **fields.work(worker),
        **fields.latency(worker),
        **fields.phases(measured),
        **fields.memory(worker, recording, around.idle),
        "cpu_energy_j": fields.cpu_energy(worker, beside),
    }
    found |= fields.energy(measured, recording, around.idle, found)
    found |= fields.compute(worker, recording, cell.config, found)
    found |= quality.quality(worker, recording, measured, found, around.findings)
    found["warnings"] = (*found["warnings"], *around.notes)
    found |= quality.timeseries(recording, worker, folder)
    found["validity"] = quality.validity(measured, recording, found, around.findings)
    result = ExperimentResult.model_validate(found)
    verdicts = judge(result, cell.budgets)
    return result.model_copy(update={"verdicts": verdicts}), measured.traces
