"""What a container costs: the same tiny experiment by the local and by the Docker runner, in turns; medians in seconds.

python benchmarks/docker_start.py [ROUNDS]      (LLEM_IMAGE_PYTORCH names the image; default 5 rounds)
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pytest_llem.errors import LlemError
from pytest_llem.runners.base import Launch, Runner
from pytest_llem.runners.conductor import Limits, WorkerSession
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.local import LocalRunner
from pytest_llem.runners.progress import Progress
from pytest_llem.study.config import DatasetSpec, ExperimentConfig, MeasureSpec, ModelSpec
from pytest_llem.study.study import Cell

ALLOWED_S = 1.5
CELL = Cell(
    "benchmark",
    "tiny",
    ExperimentConfig(
        model=ModelSpec(id="tiny"),
        dataset=DatasetSpec(n=1, input_tokens=4),
        max_output_tokens=1,
        measure=MeasureSpec(warmup=0, repeats=1, min_window_s=0.001),
    ),
    "0" * 64,
    1,
    {},
)


class NoRecorder:
    """The conversation wants one; nothing is recorded here."""

    def pace(self, pace: str) -> None:
        """Nothing to do."""

    def follow(self, pid: int) -> None:
        """Nothing to do."""


def one_experiment(runner: Runner) -> tuple[float, float]:
    """Seconds until the worker begins to load the model, and until nothing of it is left."""
    begun: list[float] = []

    def listen(progress: Progress) -> None:
        if progress.phase == "loading":
            begun.append(time.monotonic())

    with tempfile.TemporaryDirectory(prefix="llem-") as folder:
        place = Path(folder)
        launch = Launch(
            exchange=place,
            log=place / "log",
            run_id="benchmark",
            cell_id="tiny",
            backend="pytorch",
        )
        start = time.monotonic()
        session = WorkerSession(runner, launch, NoRecorder())
        try:
            session.run(CELL, 0.0, Limits(300, 120), listen)
        finally:
            session.close()
        return begun[0] - start, time.monotonic() - start


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # both runners pass it on; threads that wait for each other add noise
    runners: dict[str, Runner] = {"local": LocalRunner(), "docker": DockerRunner()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    try:
        for number in range(rounds + 1):
            for name, runner in runners.items():
                measured = one_experiment(runner)
                if number:  # the first round fills the page cache
                    times[name].append(measured)
    except LlemError as error:
        print(f"docker_start: {error}")
        return 1
    print(f"{'runner':<8} {'to loading':>12} {'whole':>12}")
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    for name, (begun, whole) in medians.items():
        print(f"{name:<8} {begun:>10.2f} s {whole:>10.2f} s")
    more = medians["docker"][1] - medians["local"][1]
    print(f"a container costs {more:.2f} s more for each experiment (allowed: {ALLOWED_S} s), {rounds} rounds")
    return 0 if more <= ALLOWED_S else 1


if __name__ == "__main__":
    sys.exit(main())
