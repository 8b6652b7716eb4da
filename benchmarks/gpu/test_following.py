"""What following every step of vLLM costs, against its own ``generate``; and what other ways to ask would give.

``following.sh`` runs it. Each way takes its turn in every round; the table has tokens per second, J per token and W,
means over all rounds. "Equal, sampled" is how a quick script asks: the same prompt for every request, known from the
pass before, vLLM's default temperature. MODEL, COUNT, OUTPUT (tokens) and ROUNDS: to try it elsewhere.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_llem.backends.vllm.backend import VllmBackend
from pytest_llem.study.config import ExperimentConfig
from pytest_llem.study.load import study_from_mapping

MODEL = os.environ.get("MODEL", "shape:llama-8b")
COUNT, OUTPUT, INPUT = int(os.environ.get("COUNT", "256")), int(os.environ.get("OUTPUT", "256")), 128
ROUNDS = int(os.environ.get("ROUNDS", "2"))


def experiment(token_times: bool) -> ExperimentConfig:
    study = {
        "llem": 1,
        "model": {"id": MODEL, "dtype": "bfloat16"},
        "backend": "vllm",
        "max_output_tokens": OUTPUT,
        "measure": {"token_times": token_times},
        "vllm": {"engine": {"max_model_len": 512, "gpu_memory_utilization": 0.6}},
    }
    return study_from_mapping(study, name="following").cells[0].config


def test_following(llem_measure: Any) -> None:
    prompts = [[100 + (37 * i + 7 * j) % 400 for j in range(INPUT)] for i in range(COUNT)]
    engine = VllmBackend().load(experiment(False), print)
    try:

        def ours(prompts: list[list[int]], token_times: bool) -> int:
            answers = engine.generate(prompts, experiment(token_times), lambda *_: None)
            return sum(len(answer.token_ids) for answer in answers)

        ways: dict[str, Callable[[], int]] = {
            "vLLM's generate": lambda: plain(engine, prompts),
            "followed": lambda: ours(prompts, False),
            "every token timed": lambda: ours(prompts, True),
            "known prompts": lambda: plain(engine, prompts, salt="always the same"),
            "equal prompts": lambda: ours([prompts[0]] * COUNT, False),
            "one request": lambda: ours(prompts[:1], False),
        }
        for count in sorted({1, 64, COUNT}):
            ways[f"equal, sampled, {count}"] = partial(quick, engine, prompts[0], count)
        report(measure(ways, llem_measure), base="vLLM's generate")
    finally:
        engine.close()


def plain(engine: Any, prompts: list[list[int]], salt: str | None = None) -> int:
    """vLLM's own loop, told to do the same work; a new salt keeps prompts from being known from the pass before."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    params = SamplingParams(max_tokens=OUTPUT, ignore_eos=True, temperature=0.0, detokenize=False)
    salt = salt or f"plain {time.monotonic()}"
    asked = [tokens_input(list(prompt), cache_salt=salt) for prompt in prompts]
    return sum(len(out.outputs[0].token_ids) for out in engine._llm.generate(asked, params, use_tqdm=False))


def quick(engine: Any, prompt: list[int], count: int) -> int:
    """As in a quick script: no salt, no greedy decoding."""
    from vllm import SamplingParams

    params = SamplingParams(max_tokens=OUTPUT, min_tokens=OUTPUT, ignore_eos=True, detokenize=False)
    outputs = engine._llm.generate([{"prompt_token_ids": prompt}] * count, params, use_tqdm=False)
    return sum(len(out.outputs[0].token_ids) for out in outputs)


def measure(ways: dict[str, Callable[[], int]], llem_measure: Any) -> dict[str, list[tuple[float, float]]]:
    """For each way, the tokens per second and J per token (NaN without a meter) of each round."""
    found = defaultdict(list)
    for work in ways.values():
        work()
    for _ in range(ROUNDS):
        for name, work in ways.items():
            with llem_measure(name) as energy:
                start = time.monotonic()
                tokens = work()
                seconds = time.monotonic() - start
            found[name].append((tokens / seconds, (energy.energy_j or float("nan")) / tokens))
    return found


def report(found: dict[str, list[tuple[float, float]]], base: str) -> None:
    rate_of_base = statistics.fmean(rate for rate, _ in found[base])
    for name, rounds in found.items():
        rates, joules = zip(*rounds, strict=True)
        rate, joule = statistics.fmean(rates), statistics.fmean(joules)
        watts = statistics.fmean(rate * joule for rate, joule in rounds)
        line = f"{name:20} {rate:9.0f} tokens/s {1e3 * joule:9.2f} mJ/token {watts:7.1f} W"
        print(f"{line}   of the rate of {base}: {rate / rate_of_base:.4f}")
