"""What the values of the weights do to energy: vLLM's dummy weights, normal ones, zeros, in the same engine.

``weights.sh`` runs it. Dummy weights are uniform within 0.001, norms included; the others are drawn anew in place, with
norms of one. The last line reads the counter at both ends of single windows, one after another, as a quick script does.
MODEL and ROUNDS: to try it elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from test_following import experiment, measure, plain, quick, report

from pytest_llem.backends.vllm.backend import VllmBackend

COUNTS, READINGS = (1, 64), 12


def test_weights(llem_measure: Any) -> None:
    prompts = [[100 + (37 * i + 7 * j) % 400 for j in range(128)] for i in range(max(COUNTS))]
    engine = VllmBackend().load(experiment(False), print)
    ways = {f"{count} at once": partial(plain, engine, prompts[:count]) for count in COUNTS}
    try:
        for values in ("dummy", "normal", "zeros", "dummy again"):
            engine._llm.collective_rpc(fill, args=(values,))
            print(f"\n{values}:")
            report(measure(ways, llem_measure), base="1 at once")
        read_at_both_ends(partial(quick, engine, prompts[0], 1))
    finally:
        engine.close()


def fill(worker: Any, values: str) -> None:
    """Draw the weights of vLLM's ``worker`` anew."""
    for weight in worker.model_runner.get_model().parameters():
        if values.startswith("dummy"):
            weight.data.uniform_(-1e-3, 1e-3)
        elif weight.dim() == 1:
            weight.data.fill_(1)
        elif values == "normal":
            weight.data.normal_(std=0.02)
        else:
            weight.data.zero_()


def read_at_both_ends(work: Callable[[], int]) -> None:
    """J per token and W of single windows by the counter alone."""
    import pynvml

    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    for _ in range(READINGS):
        before, start = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu), time.monotonic()
        tokens = work()
        joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) - before) / 1e3
        watts, degrees = joules / (time.monotonic() - start), pynvml.nvmlDeviceGetTemperature(gpu, 0)
        print(f"counter at both ends: {joules / tokens:.3f} J/token, {watts:.0f} W, {degrees} degrees")
