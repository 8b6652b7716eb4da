"""What the plugin costs runs that have nothing to do with it, and what large studies cost it: figures and limits.

Runs with and without the plugin alternate. What the plugin adds is told as processor time, in which others on the
machine hardly count, and as wall time; all else is the quickest of some runs.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
PAIRS = 25
LIMITS = {
    "added to collecting nothing": 0.015,
    "collecting 10,000 cells": 3.0,
    "llem plan of 10,000 cells": 3.0,
    "llem --version": 0.2,
    "a cell with a fresh worker": 0.4,
    "a cell with a shared engine": 0.05,
}
LARGE = """\
llem: 1
model: tiny
sweep:
  seed: {seeds}
  max_output_tokens: {lengths}
"""
INSTANT = """\
llem: 1
name: hundred
model: none
backend: instant
measure: {warmup: 0, repeats: 1, min_window_s: 0.001, bracket_s: 0.001}
execution: {cycles: 100, order: sequential}
"""


def seconds(arguments: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of one process."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, check=False)
    return time.perf_counter() - begin


def processor_seconds(arguments: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Processor time and wall time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = seconds(arguments, folder, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def added(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """What the plugin adds to ``pytest --collect-only`` of an empty folder: processor time, wall time.

    The others load an empty plugin: to find one by its name, pytest looks through all that is installed, as it does
    anyway where plugins load by themselves. Both have their bytecode, as what is installed has."""
    (folder.parent / "site" / "nothing.py").write_text("")
    pytest = ["-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p"]
    pairs = [
        [processor_seconds([*pytest, plugin], folder, environment) for plugin in ("nothing", "pytest_llem.plugin")]
        for _ in range(PAIRS + 1)
    ][1:]  # the first writes the bytecode
    processor, wall = (statistics.median(loaded[i] - without[i] for without, loaded in pairs) for i in (0, 1))
    return processor, wall


def instant_backend(folder: Path) -> Path:
    """The backend that answers at once, as an installed package."""
    metadata = folder / "instant-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest_llem.backends]\ninstant = pytest_llem.testing:InstantBackend\n")
    return folder


def for_each_cell(folder: Path, environment: dict[str, str], isolation: str) -> float:
    """What one of 100 cells takes: two studies of different lengths, so that the start is not counted."""
    arguments = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "pytest_llem.plugin",
        f"--llem-isolation={isolation}",
    ]
    arguments += ["--llem-meter=cpu-estimate", f"--llem-lock-dir={folder / 'locks'}"]
    (folder / "hundred.yaml").write_text(INSTANT)
    (folder / "ten.yaml").write_text(INSTANT.replace("hundred", "ten").replace("cycles: 100", "cycles: 10"))
    few = seconds([*arguments, "ten.yaml"], folder, environment)
    return (seconds([*arguments, "hundred.yaml"], folder, environment) - few) / 90


def main() -> int:
    """Print every figure beside its limit; 1 if one is broken."""
    with tempfile.TemporaryDirectory() as name:
        empty, large, site = Path(name, "empty"), Path(name, "large"), Path(name, "site")
        for folder in (empty, large, site):
            folder.mkdir()
        # No plugin but the one that is named: where this one is installed, it would be in both runs of a pair.
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment["PYTHONPATH"] = f"{SOURCE}{os.pathsep}{instant_backend(site)}"
        environment["PYTHONPYCACHEPREFIX"] = str(Path(name, "bytecode"))
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        study = LARGE.format(seeds=list(range(100)), lengths=list(range(1, 101)))
        (large / "large.yaml").write_text(study)
        collect = ["-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "pytest_llem.plugin"]
        llem = ["-c", "import sys; from pytest_llem.cli import main; sys.exit(main())"]
        processor, wall = added(empty, environment)
        found = {
            "added to collecting nothing": processor,
            "the same, wall time": wall,
            "collecting 10,000 cells": min(seconds(collect, large, environment) for _ in range(3)),
            "llem plan of 10,000 cells": min(
                seconds([*llem, "plan", "large.yaml"], large, environment) for _ in range(3)
            ),
            "llem --version": min(seconds([*llem, "--version"], empty, environment) for _ in range(5)),
            "a cell with a fresh worker": for_each_cell(empty, environment, "experiment"),
            "a cell with a shared engine": for_each_cell(empty, environment, "engine"),
        }
    for what, value in found.items():
        limit = LIMITS.get(what)
        told = "" if limit is None else f"   limit {limit:g} s{'' if value <= limit else '   BROKEN'}"
        print(f"{what:32} {value:8.3f} s{told}")
    print(json.dumps(found))
    return int(any(value > LIMITS.get(what, value) for what, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
