"""The ``vllm`` section: vLLM's own names, in its own groups ``engine``, ``sampling`` and ``beam_search``.

What is not here can be given in ``extra`` if it has no other place in a study. Only what vLLM would refuse for certain
is refused, in its own words and before anything is loaded; a rule that hangs on the model is left to vLLM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from pytest_llem.study.strict import Section

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Offset = Annotated[float, Field(ge=-2, le=2)]
Json = dict[str, JsonValue]

# Fields of EngineArgs, SamplingParams and BeamSearchParams that another key of the study or the backend decides.
ENGINE_SET = {
    "model": "the study's `model`",
    "revision": "the study's `model.revision`",
    "trust_remote_code": "the study's `model.trust_remote_code`",
    "tokenizer": "the study's `model.tokenizer`",
    "seed": "the study's `seed`",
    "skip_tokenizer_init": "prompts are handed over as token ids; on where no text is needed",
    "disable_log_stats": "on: gathering statistics takes time",
    "stream_interval": "1: each token is timed",
    "worker_extension_cls": "the backend's probe asks the engine's processes for facts",
    "max_logprobs": "follows `sampling` and `beam_search.beam_width`",
    "use_tqdm_on_load": "off: progress goes through the worker's messages",
    "runner": "`generate`",
}
SAMPLING_SET = {
    "max_tokens": "the study's `max_output_tokens`",
    "output_kind": "new tokens after each step, so that they can be timed",
    "detokenize": "on only for `stop`: text is not measured",
    "stream_interval": "1: each token is timed",
}
BEAM_SEARCH_SET = {"max_tokens": "the study's `max_output_tokens`"}


def unset(description: str) -> Any:
    """A field that is left to vLLM's own default."""
    return Field(default=None, description=description)


class VllmEngine(Section):
    """Fields of ``EngineArgs`` that change how much energy the same work takes."""

    # numbers and memory
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = unset(
        "Number format of weights and activations; overrides the model's."
    )
    quantization: str | None = unset("Method that the weights are, or are to be, quantised with.")
    quantization_config: Json | None = unset("Details of quantising while loading.")
    kv_cache_dtype: str | None = unset("Number format of keys and values in the cache.")
    kv_cache_dtype_skip_layers: list[str] | None = unset("Layers whose cache keeps the model's format.")
    load_format: str | None = unset(
        "How weights are read; `dummy` makes random ones (the default for built-in shapes)."
    )
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = unset(
        "Share of a GPU's memory for weights, activations and cache."
    )
    kv_cache_memory_bytes: Count | None = unset("Size of the cache; decides in the share's place.")
    num_gpu_blocks_override: Count | None = unset("Size of the cache in blocks, as given.")
    block_size: Count | None = unset("Tokens in one block of the cache.")
    cpu_offload_gb: Annotated[float, Field(ge=0)] | None = unset(
        "GiB of weights for each GPU that stay in host memory and are read over the bus."
    )
    offload_backend: Literal["auto", "uva", "prefetch"] | None = unset("How weights are offloaded.")
    offload_group_size: Natural | None = unset("Prefetch offloading: layers in a group.")
    offload_num_in_group: Count | None = unset("Prefetch offloading: offloaded layers of a group.")
    offload_prefetch_step: Natural | None = unset("Prefetch offloading: layers fetched ahead.")
    kv_offloading_size: Annotated[float, Field(gt=0)] | None = unset(
        "GiB of host memory for cache blocks that left the GPU."
    )
    kv_offloading_backend: Literal["native", "lmcache"] | None = unset("What keeps those blocks.")

    # batching
    max_model_len: Count | None = unset("Longest sequence: prompt and output together.")
    max_num_seqs: Count | None = unset("Most requests in one step.")
    max_num_batched_tokens: Count | None = unset("Most tokens in one step.")
    max_num_scheduled_tokens: Count | None = unset("Most tokens the scheduler gives out in a step.")
    enable_chunked_prefill: bool | None = unset("Prompts may be split over steps.")
    long_prefill_token_threshold: Natural | None = unset("Prompts longer than this are split at this length.")
    prefill_schedule_interval: Count | None = unset("Steps from one admission of prompts to the next.")
    enable_prefix_caching: bool | None = unset(
        "Prompts of one pass that begin alike share the work; nothing is known from a pass before."
    )
    scheduling_policy: Literal["fcfs", "priority"] | None = unset("Order of waiting requests.")
    async_scheduling: bool | None = unset("Prepare a step while the one before it runs.")

    # how the forward pass runs
    enforce_eager: bool | None = unset("No compilation and no CUDA graphs.")
    compilation_config: Json | None = unset("torch.compile and CUDA graphs, vLLM's own object.")
    cudagraph_capture_sizes: list[Count] | None = unset("Batch sizes captured as CUDA graphs.")
    max_cudagraph_capture_size: Natural | None = unset("Largest batch size captured as a CUDA graph.")
    optimization_level: Annotated[int, Field(ge=0, le=3)] | None = unset(
        "Start-up time against speed: 0 (none) to 3 (all)."
    )
    performance_mode: Literal["balanced", "interactivity", "throughput"] | None = unset(
        "What the defaults are tuned for."
    )
    attention_backend: str | None = unset("Kernel library of attention.")
    attention_config: Json | None = unset("Details of attention, vLLM's own object.")
    kernel_config: Json | None = unset("Choice of kernels, vLLM's own object.")
    enable_flashinfer_autotune: bool | None = unset("Tune FlashInfer's kernels while loading.")
    linear_backend: str | None = unset("Kernel library of matrix products.")
    moe_backend: str | None = unset("Kernel library of mixtures of experts.")
    model_impl: Literal["auto", "vllm", "transformers", "terratorch"] | None = unset(
        "Whose implementation of the model runs."
    )
    disable_cascade_attn: bool | None = unset("Never compute attention to a shared prefix once.")
    disable_sliding_window: bool | None = unset("Limit the length to the window instead.")
    kv_sharing_fast_prefill: bool | None = unset("Leave out prefill work of layers that share keys.")
    mamba_cache_dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = unset(
        "Number format of state-space layers' cache."
    )
    mamba_ssm_cache_dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = unset(
        "Number format of their recurrent state."
    )
    speculative_config: Json | None = unset("Speculative decoding: method, model, tokens ahead.")

    # several devices
    tensor_parallel_size: Count | None = unset("GPUs that share each layer.")
    pipeline_parallel_size: Count | None = unset("GPUs that share the layers one after another.")
    data_parallel_size: Count | None = unset("Copies of the model (offline vLLM runs one).")
    enable_expert_parallel: bool | None = unset("Whole experts on each GPU instead of slices.")
    enable_eplb: bool | None = unset("Move experts to even out the load.")
    expert_placement_strategy: Literal["linear", "round_robin"] | None = unset("Which GPU holds which experts.")
    all2all_backend: str | None = unset("How tokens travel between experts.")
    enable_dbo: bool | None = unset("Overlap two half batches: one computes, one communicates.")
    prefill_context_parallel_size: Count | None = unset("GPUs that share a prompt's tokens.")
    decode_context_parallel_size: Count | None = unset("GPUs that share a sequence's cache.")
    distributed_executor_backend: Literal["ray", "mp", "uni"] | None = unset("What starts the GPUs' processes.")
    disable_custom_all_reduce: bool | None = unset("Use NCCL in place of vLLM's own all-reduce.")

    extra: Json = Field(default_factory=dict, description="Any other field of EngineArgs, passed as it is.")

    def contradictions(self) -> Iterator[str]:
        yield from _batch_contradictions(self)
        if (self.data_parallel_size or 1) != 1:
            copies = f"LLM(data_parallel_size={self.data_parallel_size})"
            yield f"{copies} is not supported for single-process usage and may hang."
        group, part, ahead = self.offload_group_size or 0, self.offload_num_in_group or 1, self.offload_prefetch_step
        if (group or self.offload_backend == "prefetch") and part > group:
            yield f"offload_num_in_group ({part}) must be <= offload_group_size ({group})"
        if group and ahead == 0:
            enabled = "when prefetch offloading is enabled (offload_group_size > 0)"
            yield f"offload_prefetch_step ({ahead}) must be >= 1 {enabled}"
        for name, config, key in (
            ("cudagraph_capture_sizes", "compilation_config", "cudagraph_capture_sizes"),
            ("max_cudagraph_capture_size", "compilation_config", "max_cudagraph_capture_size"),
            ("attention_backend", "attention_config", "backend"),
            ("enable_flashinfer_autotune", "kernel_config", "enable_flashinfer_autotune"),
        ):
            if getattr(self, name) is not None and (getattr(self, config) or {}).get(key) is not None:
                yield f"{name} and {config}.{key} are mutually exclusive"
        if self.enable_eplb and not self.enable_expert_parallel:
            yield "enable_expert_parallel must be True to use EPLB."
        yield from _extra_contradictions(self, self.extra, ENGINE_SET, "engine")

    def dormant(self) -> dict[str, str]:
        off: dict[str, str] = {}
        if self.enforce_eager:
            off |= dict.fromkeys(("cudagraph_capture_sizes", "max_cudagraph_capture_size"), "with enforce_eager: true")
        if self.kv_cache_memory_bytes is not None:
            off["gpu_memory_utilization"] = "beside kv_cache_memory_bytes"
        if not self.offload_group_size and self.offload_backend != "prefetch":
            off |= dict.fromkeys(("offload_num_in_group", "offload_prefetch_step"), "without offload_backend: prefetch")
        if not self.kv_offloading_size:
            off["kv_offloading_backend"] = "without kv_offloading_size"
        return self.given(off)


class VllmSampling(Section):
    """Fields of ``SamplingParams``. Greedy, and to the full output length, unless said otherwise."""

    temperature: Annotated[float, Field(ge=0, le=2)] = Field(default=0.0, description="0 is greedy decoding.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = unset("Smallest set with this probability.")
    top_k: Annotated[int, Field(ge=-1)] | None = unset("Only the k likeliest; 0 or -1: all.")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = unset("Least share of the likeliest's.")
    seed: int | None = unset("Seed of each request; without it, the engine's (the study's seed).")
    n: Count | None = unset("Answers for each prompt.")
    presence_penalty: Offset | None = unset("Against tokens that occurred.")
    frequency_penalty: Offset | None = unset("Against tokens, by how often they occurred.")
    repetition_penalty: Annotated[float, Field(gt=0)] | None = unset("Factor against repetition.")
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = unset("Log probabilities for each token.")
    prompt_logprobs: Annotated[int, Field(ge=0, le=20)] | None = unset("Log probabilities for each prompt token.")
    min_tokens: Natural | None = unset("No end token before this many.")
    ignore_eos: bool = Field(
        default=True, description="Go on after the end token, so that every run does the same work."
    )
    stop: list[Annotated[str, Field(min_length=1)]] | None = unset("Texts that end an answer.")
    stop_token_ids: list[int] | None = unset("Tokens that end an answer.")
    extra: Json = Field(default_factory=dict, description="Any other field of SamplingParams, passed as it is.")

    def contradictions(self) -> Iterator[str]:
        if self.temperature == 0 and (self.n or 1) > 1:
            yield f"n must be 1 when using greedy sampling, got {self.n}."
        yield from _extra_contradictions(self, self.extra, SAMPLING_SET, "sampling")

    def dormant(self) -> dict[str, str]:
        """What chooses among tokens under greedy decoding, and what says what holds anyway."""
        off = {name: "at this value" for name, values in _SAME_AS_UNSET.items() if getattr(self, name) in values}
        if self.temperature == 0:
            off |= dict.fromkeys(("top_p", "top_k", "min_p", "seed"), "with temperature: 0")
        return self.given(off)


class VllmBeamSearch(Section):
    """Fields of ``BeamSearchParams``. The best beam is the answer; the others' work is part of what it costs."""

    beam_width: Count = Field(description="Beams for each prompt.")
    length_penalty: float = Field(default=1.0, description="Exponent of the length that a beam's score is divided by.")
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(default=0.0, description="Of the scores.")
    ignore_eos: bool = Field(default=True, description="Go on after the end token.")
    extra: Json = Field(default_factory=dict, description="Any other field of BeamSearchParams, passed as it is.")

    def contradictions(self) -> Iterator[str]:
        return _extra_contradictions(self, self.extra, BEAM_SEARCH_SET, "beam_search")


class VllmConfig(Section):
    """All groups of the vLLM backend."""

    engine: VllmEngine = Field(default_factory=VllmEngine)  # a default with a dict in it is copied deeply each time
    sampling: VllmSampling = Field(default_factory=VllmSampling)
    beam_search: VllmBeamSearch | None = None

    def contradictions(self) -> Iterator[str]:
        if self.beam_search is not None and (said := self.sampling.model_dump(exclude_defaults=True)):
            yield f"`sampling` ({', '.join(said)}) has no effect beside `beam_search`: leave one of them out"


_SAME_AS_UNSET: dict[str, tuple[object, ...]] = {
    "top_p": (1.0,),
    "top_k": (0, -1),
    "min_p": (0.0,),
    "n": (1,),
    "presence_penalty": (0.0,),
    "frequency_penalty": (0.0,),
    "repetition_penalty": (1.0,),
    "min_tokens": (0,),
    "stop": ([],),
    "stop_token_ids": ([],),
}


def _batch_contradictions(engine: VllmEngine) -> Iterator[str]:
    batch, requests, length = engine.max_num_batched_tokens, engine.max_num_seqs, engine.max_model_len
    if engine.enable_chunked_prefill is False and batch is not None and length is not None and batch < length:
        yield (
            f"max_num_batched_tokens ({batch}) is smaller than max_model_len ({length}). This effectively limits the "
            "maximum sequence length to max_num_batched_tokens and makes vLLM reject longer sequences. Please increase "
            "max_num_batched_tokens or decrease max_model_len."
        )
    if batch is not None and requests is not None and batch < requests:
        yield f"max_num_batched_tokens ({batch}) must be greater than or equal to max_num_seqs ({requests})."
    threshold = engine.long_prefill_token_threshold
    if threshold is not None and length is not None and threshold > length:
        yield f"long_prefill_token_threshold ({threshold}) cannot be greater than the max_model_len ({length})."


def _extra_contradictions(section: Section, extra: Json, taken: Mapping[str, str], group: str) -> Iterator[str]:
    """``extra`` must not say what another key says, or what the backend itself decides."""
    for name in extra:
        if name in type(section).model_fields:
            yield f"extra: `{name}` is a field of its own, vllm.{group}.{name}"
        elif name in taken:
            yield f"extra: `{name}` cannot be set here: {taken[name]}"
