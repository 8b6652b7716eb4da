"""The vLLM backend: checks an experiment, and loads an engine for it."""

from __future__ import annotations

import os
from typing import Any

from pytest_llem.backends import tokenizer
from pytest_llem.backends.base import Engine, Say
from pytest_llem.backends.models import is_shape
from pytest_llem.backends.vllm import options, versions
from pytest_llem.backends.vllm.engine import LoadedVllm
from pytest_llem.backends.vllm.processes import EngineProcesses
from pytest_llem.errors import BackendError
from pytest_llem.study.config import ExperimentConfig


class VllmBackend:
    """Runs models with vLLM's offline engine."""

    name = "vllm"
    engine_key = staticmethod(options.engine_key)
    tokenize = staticmethod(tokenizer.tokenize)
    vocabulary = staticmethod(tokenizer.vocabulary)

    def check(self, config: ExperimentConfig) -> None:
        """Raise BackendError for what cannot work, before vLLM is imported."""
        versions.require_supported(versions.installed())
        options.require_possible_length(config)
        if is_shape(config.model.id) and options.needs_text(config) and config.model.tokenizer is None:
            raise BackendError(
                f"{config.model.id} has no tokenizer, which vLLM needs for `beam_search` and `sampling.stop`",
                hint="name one in model.tokenizer, or use tiny",
            )

    def load(self, config: ExperimentConfig, say: Say) -> Engine:
        notes = [*versions.require_supported(versions.installed())]
        notes += versions.prepare_environment(options.vllm_section(config).engine)
        processes = EngineProcesses()
        try:
            with processes.refusals(f"vLLM cannot load {config.model.id}"):
                say("importing vllm")
                _check_answers(config)
                say(f"loading {config.model.id}")
                with processes.log.listening():
                    return _load(config, processes, notes)
        except BaseException:
            processes.end(grace_s=1.0)
            raise


def _check_answers(config: ExperimentConfig) -> None:
    """Let vLLM refuse what it would refuse for every request, before anything is loaded."""
    from vllm import SamplingParams
    from vllm.sampling_params import BeamSearchParams

    SamplingParams(**options.sampling_arguments(config, end_ids=()))
    if options.vllm_section(config).beam_search is not None:
        BeamSearchParams(**options.beam_search_arguments(config))


def _load(config: ExperimentConfig, processes: EngineProcesses, notes: list[str]) -> LoadedVllm:
    from vllm import LLM

    from pytest_llem.backends.vllm.facts import end_ids, loaded_facts

    arguments = options.engine_arguments(config)
    llm = LLM(**arguments)
    processes.watch(llm)
    probed = arguments["worker_extension_cls"] == options.PROBE
    workers: list[dict[str, Any]] = llm.collective_rpc("llem_describe") if probed else []
    where = "in processes of its own" if processes.pids() else f"in this process ({os.getpid()})"
    notes.append(f"vLLM's engine ran {where}")
    facts = loaded_facts(llm, workers, config, notes)
    return LoadedVllm(llm, processes, facts, end_ids(llm), probed=probed)
