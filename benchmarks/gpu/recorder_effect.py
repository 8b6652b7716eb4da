"""recorder_effect.py WINDOWS FIXED_WINDOWS: does recording slow the workload down? WINDOW_S: how long a window is.

Windows with and without it, in turn, on a GPU. Two workloads: transformers' ``generate``, which waits for the CPU,
and a fixed CUDA workload, which repeats to a thousandth. Prints the rate in each window, the mean ratio of a recorded
one to its two neighbours with its 95 % interval, and the recorder's share of one core.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from matmul_backend import MatmulBackend

from pytest_llem.backends.base import Backend, Engine
from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.energy.choose import choose_meter
from pytest_llem.energy.recorder import Recorder
from pytest_llem.results.tdist import quantile
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.load import study_from_mapping

SECONDS, PAUSE_S = float(os.environ.get("WINDOW_S", "2")), 0.3


def main(*windows: int) -> None:
    study = {
        "llem": 1,
        "model": {"id": "shape:llama-1b", "dtype": "bfloat16"},
        "max_output_tokens": 32,
        "pytorch": {"batch_size": 64},
    }
    config = study_from_mapping(study, name="effect").cells[0].config
    backends: dict[str, Backend] = {"generate": PytorchBackend(), "fixed workload": MatmulBackend()}
    for (name, backend), count in zip(backends.items(), windows, strict=True):
        if not count:
            continue
        engine = backend.load(config, print)
        measure(name, engine, config, count)
        engine.close()


def measure(name: str, engine: Engine, config: ExperimentConfig, windows: int) -> None:
    """Windows without, with, without recording, and so on; prints the ratios."""
    meter = choose_meter("nvml").meter

    def window(recorded: bool) -> tuple[float, float]:
        """The rate, and the recorder's share of a core; it starts before every window, so that all begin alike."""
        with tempfile.TemporaryDirectory() as folder, Recorder("nvml", meter.devices(), Path(folder)) as recorder:
            if recorded:
                recorder.pace("dense")
            else:
                recorder.stop()
            time.sleep(PAUSE_S)
            if recorded:
                recorder.pace("quiet")
            found = rate(engine, config)
            return found, recorder.stop().cost.cpu_share or 0.0

    rate(engine, config)
    before, ratios = window(recorded=False)[0], []
    for number in range(windows):
        (on, share), (after, _) = window(recorded=True), window(recorded=False)
        ratios.append(2 * on / (before + after))
        print(
            f"{name} {number}: off {before:9.1f}  on {on:9.1f} tokens/s  ratio {ratios[-1]:.4f}  CPU {share:.3f}",
            flush=True,
        )
        before = after
    half = float(quantile(0.975, np.array(windows - 1.0))) * statistics.stdev(ratios) / windows**0.5
    print(f"{name}: with recording / without = {statistics.fmean(ratios):.4f} ± {half:.4f}", flush=True)


def rate(engine: Engine, config: ExperimentConfig) -> float:
    """Tokens per second over one window."""
    prompts = [[100 + i + j for j in range(128)] for i in range(64)]
    engine.synchronize()
    start, tokens = time.monotonic(), 0
    while time.monotonic() - start < SECONDS:
        tokens += sum(len(answer.token_ids) for answer in engine.generate(prompts, config, lambda *_: None))
    engine.synchronize()
    return tokens / (time.monotonic() - start)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
