"""recorder_effect.py [PAIRS]: does recording slow the workload down? Windows with and without it, in turn, on one GPU.

Prints tokens/s of each pair, the mean ratio with its 95 % interval, and the CPU share of the recorder."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from pytest_llem.backends.pytorch import PytorchBackend
from pytest_llem.energy.choose import choose_meter
from pytest_llem.energy.recorder import Recorder
from pytest_llem.study import study_from_mapping

SECONDS = 3.0


def main(pairs: int) -> None:
    study = {
        "model": {"id": "shape:llama-1b", "dtype": "bfloat16"},
        "max_output_tokens": 32,
        "pytorch": {"batch_size": 64},
    }
    config = study_from_mapping({"llem": 1, **study}, name="effect").cells[0].config
    prompts = [[100 + i + j for j in range(128)] for i in range(64)]
    engine = PytorchBackend().load(config, print)
    meter = choose_meter("nvml").meter

    def rate() -> float:
        engine.synchronize()
        start, tokens = time.monotonic(), 0
        while time.monotonic() - start < SECONDS:
            tokens += sum(len(answer.token_ids) for answer in engine.generate(prompts, config, lambda *_: None))
        engine.synchronize()
        return tokens / (time.monotonic() - start)

    rate()
    ratios: dict[str, list[float]] = {"dense": [], "quiet": []}
    for number in range(pairs):
        for mode in ("dense", "quiet"):
            off = rate()
            with tempfile.TemporaryDirectory() as folder, Recorder("nvml", meter.devices(), Path(folder)) as recorder:
                recorder.pace(mode)
                on = rate()
                cost = recorder.stop().cost
            again = rate()
            ratio = 2 * on / (off + again)
            ratios[mode].append(ratio)
            rates = f"off {off:8.0f}  on {on:8.0f}  off {again:8.0f} tokens/s"
            print(f"{number} {mode:5} {rates}  ratio {ratio:.4f}  CPU share {cost.cpu_share:.3f}")
    for mode, values in ratios.items():
        mean, half = statistics.fmean(values), 2 * statistics.stdev(values) / len(values) ** 0.5
        print(f"{mode}: tokens/s with recording / without = {mean:.4f} ± {half:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
