"""The PyTorch backend: transformers' own ``generate``, in batches, on CUDA or the CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_llem.backends import tokenizer
from pytest_llem.backends.base import Completion, Engine, Marker, ModelFacts, Prompts, Say
from pytest_llem.backends.memory import CudaPeak, ProcessPeak
from pytest_llem.backends.models import has_random_weights
from pytest_llem.backends.pytorch_options import generation_options, loading_key, loading_options, pytorch_section
from pytest_llem.backends.pytorch_steps import StepClock
from pytest_llem.backends.refusals import refusals
from pytest_llem.errors import BackendError, MissingDependency
from pytest_llem.study.config import ExperimentConfig

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class PytorchBackend:
    """Runs models with transformers."""

    name = "pytorch"
    engine_key = staticmethod(loading_key)
    tokenize = staticmethod(tokenizer.tokenize)
    vocabulary = staticmethod(tokenizer.vocabulary)

    def check(self, config: ExperimentConfig) -> None:
        """Raise BackendError for what is missing or cannot go together, before anything large is imported."""
        for library in ("torch", "transformers"):
            if find_spec(library) is None:
                raise MissingDependency(library, "transformers")
        section = pytorch_section(config)
        if section.quantization is not None and find_spec("bitsandbytes") is None:
            raise BackendError("bitsandbytes is not installed", hint="pip install bitsandbytes")
        loading_options(config)
        generation_options(config)

    def load(self, config: ExperimentConfig, say: Say) -> Engine:
        from pytest_llem.backends.pytorch_load import load_assistant, load_model

        say("importing torch and transformers")
        import_module("transformers.models.auto.modeling_auto")  # before the peak starts: code is no model's memory
        import torch

        on_cuda = torch.cuda.is_available() and pytorch_section(config).device_map != "cpu"
        peak = CudaPeak(range(torch.cuda.device_count())) if on_cuda else ProcessPeak()
        say(f"loading {config.model.id}")
        model = load_model(config)
        return PytorchEngine(model, load_assistant(config, model), config, peak)


class PytorchEngine:
    """A loaded model, and one that drafts for it where asked for."""

    def __init__(
        self,
        model: PreTrainedModel,
        assistant: PreTrainedModel | None,
        config: ExperimentConfig,
        peak: CudaPeak | ProcessPeak,
    ) -> None:
        self._model: Any = model  # generate's own type stubs are wrong for half of its arguments
        self._assistant = assistant
        self._drafted_tokens = None if assistant is None else assistant.generation_config.num_assistant_tokens
        self.peak_memory_bytes = peak.bytes
        self.peak_memory_how = peak.how
        self._cuda = sorted({weight.device.index for weight in model.parameters() if weight.device.type == "cuda"})
        self.facts = _facts(model, assistant, config, self._cuda)

    def generate(self, prompts: Prompts, config: ExperimentConfig, marker: Marker) -> list[Completion]:
        """See :class:`.base.Engine`. Each pass starts from the same seed and does the same work."""
        import torch

        options = generation_options(config)
        batch_size = pytorch_section(config).batch_size
        self._require_room(prompts, config)
        torch.manual_seed(config.seed)
        if self._assistant is not None:  # a "heuristic" schedule keeps what it learned from one call to the next
            self._assistant.generation_config.num_assistant_tokens = self._drafted_tokens
        answers: list[Completion] = []
        with refusals("transformers could not generate"):
            for first in range(0, len(prompts), batch_size):
                answers += self._batch(prompts[first : first + batch_size], options, config, marker)
        return answers

    def _batch(
        self, prompts: Prompts, options: dict[str, Any], config: ExperimentConfig, marker: Marker
    ) -> list[Completion]:
        start = time.monotonic()
        section = pytorch_section(config)
        prompt_tokens = sum(map(len, prompts))

        def prefilled() -> None:
            if config.max_output_tokens > 1:
                marker("prefill", prompt_tokens)

        clock = StepClock(
            self.synchronize,
            prefilled,
            every_step=config.measure.token_times,
            drafts=bool(section.assistant_model or section.prompt_lookup_num_tokens),
        )
        pad = self._pad_id()
        input_ids, mask = left_padded(prompts, pad, self._model.get_input_embeddings().weight.device)
        output = self._model.generate(
            input_ids,
            attention_mask=mask,
            pad_token_id=pad,
            stopping_criteria=[clock],
            assistant_model=self._assistant,
            **options,
        )
        rows = output[:, input_ids.shape[1] :].tolist()  # waits for the device
        end = time.monotonic()
        ends = self._end_ids(options)
        answers = [up_to_end(row, ends) for row in rows]
        decoded = sum(len(answer) - 1 for answer in answers)
        if config.max_output_tokens == 1:
            marker("prefill", prompt_tokens)
        elif decoded:
            marker("decode", decoded)
        return [
            Completion(
                token_ids=answer,
                start=start,
                end=end,
                first_token=clock.first,
                token_times=clock.token_times(input_ids.shape[1], len(answer)) if config.measure.token_times else None,
            )
            for answer in answers
        ]

    def _require_room(self, prompts: Prompts, config: ExperimentConfig) -> None:
        room = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        needed = max(map(len, prompts)) + config.max_output_tokens
        if room is not None and needed > room:
            raise BackendError(
                f"{config.model.id} has room for {room} tokens, prompt and output need {needed}",
                hint="lower dataset.input_tokens or max_output_tokens",
            )

    def _end_ids(self, options: dict[str, Any]) -> frozenset[int]:
        ids = options.get("eos_token_id", self._model.generation_config.eos_token_id)
        return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])

    def _pad_id(self) -> int:
        """Any id will do: padding is masked. An end token would do it for models that check, so it is preferred."""
        own = self._model.generation_config.pad_token_id
        return own if own is not None else min(self._end_ids({}) or {0})

    def synchronize(self) -> None:
        if self._cuda:
            import torch

            for device in self._cuda:
                torch.cuda.synchronize(device)

    def close(self) -> None:
        import gc

        import torch

        self._model = self._assistant = None
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()


def left_padded(prompts: Prompts, pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, (sequences, longest prompt), padded on the left, where decoding does not look."""
    import torch

    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def up_to_end(row: Sequence[int], ends: frozenset[int]) -> tuple[int, ...]:
    """A row of generated ids up to and including its first end token; what follows is padding."""
    for position, token in enumerate(row):
        if token in ends:
            return tuple(row[: position + 1])
    return tuple(row)


def _facts(
    model: PreTrainedModel, assistant: PreTrainedModel | None, config: ExperimentConfig, cuda: Sequence[int]
) -> ModelFacts:
    import torch

    from pytest_llem.backends.pytorch_facts import count, model_facts

    notes: tuple[str, ...] = ()
    if assistant is not None:
        drafts = f"{pytorch_section(config).assistant_model} ({count(assistant).parameters} parameters)"
        notes = (f"drafts by {drafts}, not in these figures",)
    return model_facts(
        model.config,
        count(model),
        model.dtype.itemsize,
        name=config.model.id,
        random_weights=has_random_weights(config.model.id),
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(next(model.parameters()).device),
        device_uuids=tuple(f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in cuda),
        weight_bytes=model.get_memory_footprint(return_buffers=False),
        notes=notes,
    )
