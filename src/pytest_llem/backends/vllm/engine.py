"""A loaded vLLM engine: answers prompts, tells what it uses, and is really gone when closed."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from pytest_llem.backends.base import Completion, Marker, ModelFacts, Prompts
from pytest_llem.backends.vllm.log import LogTail
from pytest_llem.backends.vllm.options import (
    beam_search_arguments,
    require_room,
    sampling_arguments,
    vllm_section,
)
from pytest_llem.backends.vllm.processes import descendants, end_all, peak_resident_bytes
from pytest_llem.backends.vllm.reasons import hint, reason
from pytest_llem.backends.vllm.stepping import Requests, follow
from pytest_llem.errors import BackendError, LlemError
from pytest_llem.study.config import ExperimentConfig

_SHUTDOWN_S = 15.0  # for vLLM's own way of ending
_GRACE_S = 5.0  # for its processes, before and after each signal
_CACHE_RESET_S = 2.0


class EngineProcesses:
    """What vLLM started: its log, its processes, and how they ended."""

    def __init__(self) -> None:
        self.log = LogTail()
        self._before = frozenset(descendants(os.getpid()))
        self._handles: list[Any] = []

    def watch(self, llm: Any) -> None:
        """Remember the engine's own processes, to tell later how they ended."""
        resources = getattr(llm.llm_engine.engine_core, "resources", None)
        self._handles = list(getattr(getattr(resources, "engine_manager", None), "processes", ()))

    def pids(self) -> tuple[int, ...]:
        """Ids of all processes that were started since; empty where the engine runs in this process."""
        return tuple(pid for pid in descendants(os.getpid()) if pid not in self._before)

    def end(self, grace_s: float = _GRACE_S) -> tuple[int, ...]:
        """End them; returns those that had to be forced."""
        return end_all(self.pids(), grace_s)

    @contextmanager
    def refusals(self, doing: str) -> Iterator[None]:
        """Whatever goes wrong inside becomes one BackendError with vLLM's own reason."""
        try:
            yield
        except LlemError:
            raise
        except Exception as error:
            exits = [(handle.pid, handle.exitcode) for handle in self._handles]
            why = reason(error, self.log.lines(), exits)
            raise BackendError(f"{doing}: {why}", hint=hint(why)) from error


class LoadedVllm:
    """One ``LLM``; see :class:`pytest_llem.backends.base.Engine`. ``probed``: its workers can be asked."""

    def __init__(
        self, llm: Any, processes: EngineProcesses, facts: ModelFacts, end_ids: frozenset[int], *, probed: bool
    ) -> None:
        self.facts = facts
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
            self._forget_prefixes()
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

    def pids(self) -> tuple[int, ...]:
        """The engine's processes; empty where it runs in this one."""
        return self._processes.pids()

    def close(self) -> None:
        """Let vLLM end, and see to it that its processes do. Never hangs: what does not end in time is killed."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        in_process = not self.pids()
        ending = threading.Thread(target=_shut_down, args=(llm, in_process), daemon=True)
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
        for prompt in prompts:
            request_id = str(next(self._numbers))
            requests.handed_over(request_id, params.n, time.monotonic())
            engine.add_request(request_id, tokens_input(list(prompt)), params)
        return follow(engine.has_unfinished_requests, engine.step, requests)

    def _beam_search(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        """vLLM's beam search is a loop of its own around the engine: its tokens cannot be timed."""
        from vllm.sampling_params import BeamSearchParams

        start = time.monotonic()
        params = BeamSearchParams(**beam_search_arguments(config))
        results = self._llm.beam_search([{"prompt_token_ids": list(prompt)} for prompt in prompts], params)
        end = time.monotonic()
        answers = [
            tuple(result.sequences[0].tokens[len(prompt) :]) for result, prompt in zip(results, prompts, strict=True)
        ]
        marker("generate", sum(map(len, answers)))
        return [Completion(token_ids=answer, start=start, end=end) for answer in answers]

    def _forget_prefixes(self) -> None:
        """Every pass does the same work: what the pass before left in the cache must not spare it the prefill."""
        if not self._caches_prefixes:
            return
        end = time.monotonic() + _CACHE_RESET_S
        while not self._llm.reset_prefix_cache():  # refused while the last request's blocks are being freed
            if time.monotonic() > end:
                raise BackendError("vLLM's prefix cache cannot be emptied", hint="set enable_prefix_caching to false")
            time.sleep(0.001)


def _shut_down(llm: Any, in_process: bool) -> None:
    """A failing teardown costs nothing: the results are out, and what is left is killed."""
    with suppress(Exception):
        llm.llm_engine.engine_core.shutdown(timeout=_GRACE_S)
    if in_process:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with suppress(Exception):
            cleanup_dist_env_and_memory()
