"""Runs made by hand, for tests of baselines and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_llem.results.baseline import Baseline, make_baseline
from pytest_llem.results.manifest import Entry as ManifestEntry
from pytest_llem.results.manifest import Manifest, write_manifest
from pytest_llem.results.model import DeviceEnergy, ExperimentResult, Window
from pytest_llem.results.store import RunFolder
from tests.results.samples import make_result


def device(uuid: str = "GPU-1", name: str = "NVIDIA H200", **changes: Any) -> DeviceEnergy:
    return DeviceEnergy(uuid=uuid, name=name, energy_j=10.0, **changes)


def window(length: float = 1.0) -> Window:
    return Window(start=0.0, end=length, passes=1, requests=4, input_tokens=400, output_tokens=100, energy_j=10.0)


def cycles(values: Sequence[float], name: str = "pytorch-bs1", **changes: Any) -> list[ExperimentResult]:
    """A configuration's results, one for each value of the energy of an output token."""
    fields: dict[str, Any] = {
        "config_hash": name.rjust(16, "0"),
        "devices": (device(),),
        "repeats": (window(),),
        **changes,
    }
    return [
        make_result(cell_id=f"{name}-c{i}", cycle=i, energy_per_output_token_j=value, **fields)
        for i, value in enumerate(values, start=1)
    ]


def run(values: Sequence[float], name: str = "pytorch-bs1", **changes: Any) -> Baseline:
    return make_baseline(cycles(values, name, **changes))


def noisy(mean: float, n: int = 5, noise: float = 0.005, seed: int = 0) -> list[float]:
    """Values around a mean with exactly that noise (standard deviation of logs): no verdict hangs on luck."""
    logs = np.random.default_rng(seed).normal(size=n)
    logs = (logs - logs.mean()) / logs.std(ddof=1)
    return [float(x) for x in mean * np.exp(noise * logs)]


def write_run(folder: Path, results: Sequence[ExperimentResult], **manifest: Any) -> Path:
    """A run's folder on disk, as a session leaves it."""
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    entries = [
        ManifestEntry(
            nodeid=f"study.yaml::study[{result.cell_id}]",
            cell_id=result.cell_id,
            config_hash=result.config_hash,
            cycle=result.cycle,
            status="passed",
            result=str(run.write_result(result).relative_to(folder)),
        )
        for result in results
    ]
    fields = {"tool_version": "0", "study": "study", "study_file": "study.yaml", "study_hash": "0", **manifest}
    write_manifest(
        run.manifest,
        Manifest(
            run_id=run.run_id, started_at="2026-01-01T00:00:00Z", status="finished", cells=tuple(entries), **fields
        ),
    )
    return folder
