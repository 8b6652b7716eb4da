"""What two commands cost here and with llenergymeasure 0.7.0, in one run: the version, and a dry run of one grid.

llenergymeasure needs an environment of its own. ``LLEM_BENCH_VENV`` names its folder; where there is none yet, it is
made (335 MB). Runs of both alternate, and the medians are compared.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
OTHER = "llenergymeasure==0.7.0"
RUNS = 9
CELLS = 100
SIDE = list(range(1, 11))
OURS = f"""\
llem: 1
model: gpt2
pytorch: {{ignore_eos: false}}
sweep:
  seed: {SIDE}
  pytorch.min_new_tokens: {SIDE}
"""
THEIRS = f"""\
study_name: grid
engine: transformers
serving_mode: offline
task: {{model: gpt2}}
study_execution: {{n_cycles: 1}}
sweep:
  task.random_seed: {SIDE}
  transformers.sampling_params.min_new_tokens: {SIDE}
"""


def installed(folder: Path) -> Path:
    """Their command, in an environment that is made where it is missing."""
    command = folder / "bin" / "llem"
    if not command.exists():
        print(f"installing {OTHER} into {folder}", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", OTHER], check=True)
    return command


def run(command: list[str | Path], folder: Path, expected: str) -> tuple[float, float]:
    """Wall and processor time of one command; a run that does not say what is expected measures nothing."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "200"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or expected not in done.stdout:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print medians and ratios."""
    place = os.environ.get("LLEM_BENCH_VENV")
    if not place:
        print(
            f"skipped: {OTHER} needs its own environment; LLEM_BENCH_VENV=FOLDER makes one there (335 MB) and uses it"
        )
        return 0
    theirs: Path = installed(Path(place).resolve())
    ours = [sys.executable, "-c", "import sys; from pytest_llem.cli import main; sys.exit(main())"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ours.yaml").write_text(OURS)
        (folder / "theirs.yaml").write_text(THEIRS)
        rows = {
            "--version": (([*ours, "--version"], "pytest-llem"), ([theirs, "--version"], "0.7.0")),
            f"dry run, {CELLS} cells": (
                ([*ours, "plan", "ours.yaml"], f"{CELLS} cells"),
                ([theirs, "run", "--dry-run", "theirs.yaml"], f"{CELLS} configs"),
            ),
        }
        print(f"{'':22}{'here':>18}{OTHER:>26}{'ratio':>16}")
        print(f"{'':22}{'wall      CPU':>18}{'wall      CPU':>26}{'wall    CPU':>16}")
        for what, commands in rows.items():
            pairs = [[run(command, folder, text) for command, text in commands] for _ in range(RUNS + 1)][1:]
            mine, other = ([statistics.median(pair[i][k] for pair in pairs) for k in (0, 1)] for i in (0, 1))
            ratios = [b / a for a, b in zip(mine, other, strict=True)]
            print(
                f"{what:22}{mine[0]:8.3f} s {mine[1]:6.3f} s{other[0]:16.3f} s {other[1]:6.3f} s"
                f"{ratios[0]:9.1f} {ratios[1]:6.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
