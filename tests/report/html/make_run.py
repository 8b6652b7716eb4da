"""Writes run folders as a study on an H200 would leave them: plausible figures, real traces, every kind of ending.

``python -m tests.report.html.make_run FOLDER [CELLS]`` makes one to look at."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pytest_llem.energy.trace import Mark, Trace, dump_traces
from pytest_llem.results.manifest import Entry, Manifest, Status
from tests.report.html.make_result import PARAMETERS, UUID, config_hash, make_result

HOSTILE = "<script>window.hacked=1</script>"
_DRIVER = "580.159.04"


def make_run(folder: Path, cells: int, *, traced: int | None = None) -> Path:
    """A run of ``cells`` cells in ``folder``; the first ``traced`` (default: all) have a trace. Returns the folder."""
    folder.mkdir(parents=True)
    traces = [_trace_file(kind) for kind in range(4)]
    entries = []
    for number, (cell_id, cycle, config) in enumerate(itertools.islice(_grid(cells), cells)):
        status, error = _ending(number, cells)
        path = None
        if status in ("passed", "over_budget"):
            result = make_result(folder.name, cell_id, cycle, config, number if cells >= 10 else 0)
            status = "over_budget" if any(v.outcome == "fail" for v in result.verdicts) else status
            where = folder / cell_id
            where.mkdir()
            (where / "result.json").write_text(result.model_dump_json(), "utf-8")
            (where / "config.json").write_text(json.dumps(config), "utf-8")
            (where / "worker.log").write_text("ready\n", "utf-8")
            if number < (cells if traced is None else traced):
                (where / "trace.json.gz").write_bytes(traces[number % 4])
            path = f"{cell_id}/result.json"
        entries.append(_entry(cell_id, cycle, config, status, path, error))
    manifest = Manifest(
        tool_version="0.1.0",
        run_id=folder.name,
        study=f"batching {HOSTILE}" if cells > 1 else "batching",
        study_file="examples/batching.yaml",
        study_hash="5d41402abc4b2a76",
        started_at="2026-11-23T10:15:00.000Z",
        finished_at="2026-11-23T11:02:41.000Z",
        status="finished",
        cells=tuple(entries),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(), "utf-8")
    (folder / "study.yaml").write_text("llem: 1\n", "utf-8")
    environment = {
        "host": {"cpu_model": "AMD EPYC 9654 96-Core Processor", "kernel": "6.8.0-63-generic", "container": None},
        "driver": {"version": _DRIVER, "cuda": "13.0"},
        "gpus": [{"name": "NVIDIA H200", "uuid": UUID, "power_limit_w": 700.0, "persistence_mode": True}],
        "versions": {"torch": "2.13.0", "vllm": "0.26.0"},
        "git": {"commit": "0f3c9e1", "dirty": False},
    }
    (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    return folder


def _grid(cells: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(cell id, cycle, configuration): a sweep of just about the size that is wanted, three cycles of each."""
    big = cells > 100
    axes = (
        list(PARAMETERS) if big else ["shape:llama-8b"],
        ["pytorch", "vllm"],
        [1, 2, 4, 8, 16, 32, 64, 128, 256] if big else [1, 8, 64],
        [32, 64, 128, 256] if big else [64, 256],
        [64, 256, 1024, 4096] if big else [128, 512],
    )
    for model, backend, batch, out, into in itertools.product(*axes):
        size = (
            {"pytorch": {"batch_size": batch}}
            if backend == "pytorch"
            else {"vllm": {"engine": {"max_num_seqs": batch}}}
        )
        config = {
            "model": {"id": model, "dtype": "bfloat16"},
            "backend": backend,
            "dataset": {"source": "synthetic", "n": 256, "input_tokens": into},
            "max_output_tokens": out,
            "pytorch": None,
            "vllm": None,
            **size,
        }
        name = f"{model.split('-')[-1]}-" if big else ""
        for cycle in (1, 2, 3):
            yield f"{backend}-{name}bs{batch}-out{out}-in{into}-c{cycle}", cycle, config


def _ending(number: int, cells: int) -> tuple[Status, tuple[str, str] | None]:
    if cells < 10:
        return "passed", None
    special: dict[int, tuple[Status, tuple[str, str] | None]] = {
        cells - 1: ("pending", None),
        cells - 2: ("skipped", None),
        cells - 3: ("error", ("WorkerCrashed", f"the worker was killed by signal 9 {HOSTILE}\nlast line of its log")),
        cells - 4: ("failed", ("ExperimentFailed", "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB")),
    }
    return special.get(number, ("passed", None))


def _entry(
    cell_id: str, cycle: int, config: dict[str, Any], status: Status, path: str | None, error: tuple[str, str] | None
) -> Entry:
    return Entry(
        nodeid=f"examples/batching.yaml::{cell_id}",
        cell_id=cell_id,
        config_hash=config_hash(config),
        cycle=cycle,
        status=status,
        result=path,
        error_type=error[0] if error else None,
        error_message=error[1] if error else None,
    )


def _trace_file(kind: int) -> bytes:
    """Three windows of two seconds, idle time between them, as the recorder cuts them; ``kind`` varies the load."""
    rng = np.random.default_rng(kind)
    load = (330.0, 480.0, 610.0, 690.0)[kind]
    traces = []
    for i in range(3):
        t0 = 100 + 3.4 * i
        t1 = t0 + 2.1
        cuts = np.linspace(t0, t1, 4)
        marks = [
            mark
            for a, b in itertools.pairwise(cuts)
            for mark in (Mark("prefill", 4096.0, a + 0.2 * (b - a)), Mark("decode", 2048.0, float(b)))
        ]
        times = np.arange(t0 - 0.5, t1 + 0.5, 0.02)
        phase = np.zeros(len(times), dtype=bool)
        for a, b in itertools.pairwise(cuts):
            phase |= (times >= a) & (times < a + 0.2 * (b - a))
        busy = (times >= t0) & (times <= t1)
        instant = np.where(busy, np.where(phase, 698.0, load), 124.6) + rng.normal(0, 4, len(times))
        energy = 5e6 + np.cumsum(instant) * 0.02
        traces.append(
            Trace(
                name=f"repeat-{i + 1}/{UUID}",
                t0=t0,
                t1=t1,
                marks=tuple(marks),
                energy=np.column_stack([times, times + 0.003, np.floor(energy * 1e3) / 1e3]),
                power=np.column_stack([times, instant, instant]),
                device="NVIDIA H200",
                driver=_DRIVER,
            )
        )
    return dump_traces(traces)


if __name__ == "__main__":
    make_run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50)
