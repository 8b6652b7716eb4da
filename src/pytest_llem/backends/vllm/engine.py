"""A loaded vLLM engine: answers prompts, tells what it uses, and is really gone when closed."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import suppress
from itertools import count
from typing import Any

from pytest_llem.backends.base import Completion, Marker, ModelFacts, Prompts
from pytest_llem.backends.vllm.options import beam_search_arguments, require_room, sampling_arguments, vllm_section
from pytest_llem.backends.vllm.processes import GRACE_S, EngineProcesses, peak_resident_bytes
from pytest_llem.backends.vllm.stepping import Requests, follow
from pytest_llem.study.config import ExperimentConfig

_SHUTDOWN_S = 15.0  # for vLLM's own way of ending


class LoadedVllm:
    """One ``LLM``; see :class:`pytest_llem.backends.base.Engine`. ``probed``: its workers can be asked."""

    def __init__(
        self, llm: Any, processes: EngineProcesses, facts: ModelFacts, end_ids: frozenset[int], *, probed: bool
    ) -> None:
        self.facts = facts
        self.pids = processes.pids
        self._llm = llm
        self._processes = processes
        self._end_ids = end_ids
        self._probed = probed
        self._numbers = count()
        self._caches_prefixes = bool(llm.llm_engine.vllm_config.cache_config.enable_prefix_caching)
        self._cuda = bool(facts.device_uuids)
        self.peak_memory_how = (
            "torch.cuda.max_memory_reserved, summed over vLLM's workers"
            if self._cuda
            else "peak resident memory (VmHWM), each since its start, summed over vLLM's processes"
        )

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        """See :meth:`pytest_llem.backends.base.Engine.generate`; all prompts are handed over at once."""
        require_room(
            max(map(len, prompts)), config.max_output_tokens, int(self._llm.llm_engine.model_config.max_model_len)
        )
        with self._processes.refusals("vLLM could not generate"):
            if vllm_section(config).beam_search is not None:
                return self._beam_search(prompts, config, marker)
            return self._sample(prompts, config, marker)

    def synchronize(self) -> None:
        if self._probed:
            with self._processes.refusals("vLLM's engine does not answer"):
                self._llm.collective_rpc("llem_synchronize")

    def peak_memory_bytes(self) -> int | None:
        if not self._cuda:
            return peak_resident_bytes(self.pids() or (os.getpid(),))
        with self._processes.refusals("vLLM's engine does not answer"):
            return sum(int(worker) for worker in self._llm.collective_rpc("llem_peak_bytes"))

    def close(self) -> None:
        """Let vLLM end, and see to it that its processes do. Never hangs: what does not end in time is killed."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        self._processes.let_go()
        ending = threading.Thread(target=_shut_down, args=(llm, not self.pids()), daemon=True)
        ending.start()
        ending.join(_SHUTDOWN_S)
        self._processes.end()
        del llm
        gc.collect()

    def _sample(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        engine = self._llm.llm_engine
        params = SamplingParams(**sampling_arguments(config, self._end_ids), output_kind=RequestOutputKind.DELTA)
        requests = Requests(sum(map(len, prompts)), marker, every_token=config.measure.token_times)
        salt = self._fresh_salt()
        for prompt in prompts:
            request_id = str(next(self._numbers))
            requests.handed_over(request_id, params.n, time.monotonic())
            engine.add_request(request_id, tokens_input(list(prompt), cache_salt=salt), params)
        return follow(engine.has_unfinished_requests, engine.step, requests)

    def _beam_search(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        """vLLM's beam search is a loop of its own around the engine: its tokens cannot be timed."""
        from vllm.sampling_params import BeamSearchParams

        start = time.monotonic()
        params = BeamSearchParams(**beam_search_arguments(config))
        salt = {"cache_salt": salt} if (salt := self._fresh_salt()) else {}
        results = self._llm.beam_search([{"prompt_token_ids": list(prompt), **salt} for prompt in prompts], params)
        end = time.monotonic()
        answers = [
            tuple(result.sequences[0].tokens[len(prompt) :]) for result, prompt in zip(results, prompts, strict=True)
        ]
        marker("generate", sum(map(len, answers)))
        return [Completion(token_ids=answer, start=start, end=end) for answer in answers]

    def _fresh_salt(self) -> str | None:
        """Every pass does the same work: blocks of another salt never match, so no prompt is known from before."""
        return f"pass {next(self._numbers)}" if self._caches_prefixes else None


def _shut_down(llm: Any, in_process: bool) -> None:
    """A failing teardown costs nothing: the results are out, and what is left is killed."""
    with suppress(Exception):
        llm.llm_engine.engine_core.shutdown(timeout=GRACE_S)
    if in_process:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with suppress(Exception):
            cleanup_dist_env_and_memory()
