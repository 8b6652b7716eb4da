"""The ``vllm`` section: vLLM's own names, in its own groups ``engine``, ``sampling`` and ``beam_search``.

A field that is ``None`` is left to vLLM's own default. What is not here can be given in ``extra`` if it has no other
place in a study; :mod:`pytest_llem.study.vllm_audit` says why it was left out.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from pytest_llem.study import vllm_rules as rules
from pytest_llem.study.strict import Strict

Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1)]
Offset = Annotated[float, Field(ge=-2, le=2)]
Json = dict[str, JsonValue]


class VllmEngine(Strict):
    """Fields of ``EngineArgs`` that change how much energy the same work takes."""

    # numbers and memory
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = Field(
        default=None, description="Number format of weights and activations; overrides the model's."
    )
    quantization: str | None = Field(
        default=None, description="Method that the weights are, or are to be, quantised with."
    )
    quantization_config: Json | None = Field(default=None, description="Details of quantising while loading.")
    kv_cache_dtype: str | None = Field(default=None, description="Number format of keys and values in the cache.")
    kv_cache_dtype_skip_layers: list[str] | None = Field(
        default=None, description="Layers whose cache keeps the model's format."
    )
    load_format: str | None = Field(
        default=None, description="How weights are read; `dummy` makes random ones (the default for built-in shapes)."
    )
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of a GPU's memory for weights, activations and cache."
    )
    kv_cache_memory_bytes: Bytes | None = Field(
        default=None, description="Size of the cache; decides in the share's place."
    )
    num_gpu_blocks_override: Count | None = Field(default=None, description="Size of the cache in blocks, as given.")
    block_size: Count | None = Field(default=None, description="Tokens in one block of the cache.")
    cpu_offload_gb: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="GiB of weights for each GPU that stay in host memory and are read over the bus."
    )
    offload_backend: Literal["auto", "uva", "prefetch"] | None = Field(
        default=None, description="How weights are offloaded."
    )
    offload_group_size: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Prefetch offloading: layers in a group."
    )
    offload_num_in_group: Count | None = Field(
        default=None, description="Prefetch offloading: offloaded layers of a group."
    )
    offload_prefetch_step: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Prefetch offloading: layers fetched ahead."
    )
    kv_offloading_size: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="GiB of host memory for cache blocks that left the GPU."
    )
    kv_offloading_backend: Literal["native", "lmcache"] | None = Field(
        default=None, description="What keeps those blocks."
    )

    # batching
    max_model_len: Count | None = Field(default=None, description="Longest sequence: prompt and output together.")
    max_num_seqs: Count | None = Field(default=None, description="Most requests in one step.")
    max_num_batched_tokens: Count | None = Field(default=None, description="Most tokens in one step.")
    max_num_scheduled_tokens: Count | None = Field(
        default=None, description="Most tokens the scheduler gives out in a step."
    )
    enable_chunked_prefill: bool | None = Field(default=None, description="Prompts may be split over steps.")
    long_prefill_token_threshold: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Prompts longer than this are split at this length."
    )
    prefill_schedule_interval: Count | None = Field(
        default=None, description="Steps from one admission of prompts to the next."
    )
    enable_prefix_caching: bool | None = Field(
        default=None,
        description="Prompts of one pass that begin alike share the work; nothing is known from a pass before.",
    )
    scheduling_policy: Literal["fcfs", "priority"] | None = Field(
        default=None, description="Order of waiting requests."
    )
    async_scheduling: bool | None = Field(default=None, description="Prepare a step while the one before it runs.")

    # how the forward pass runs
    enforce_eager: bool | None = Field(default=None, description="No compilation and no CUDA graphs.")
    compilation_config: Json | None = Field(
        default=None, description="torch.compile and CUDA graphs, vLLM's own object."
    )
    cudagraph_capture_sizes: list[Count] | None = Field(
        default=None, description="Batch sizes captured as CUDA graphs."
    )
    max_cudagraph_capture_size: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Largest batch size captured as a CUDA graph."
    )
    optimization_level: Annotated[int, Field(ge=0, le=3)] | None = Field(
        default=None, description="Start-up time against speed: 0 (none) to 3 (all)."
    )
    performance_mode: Literal["balanced", "interactivity", "throughput"] | None = Field(
        default=None, description="What the defaults are tuned for."
    )
    attention_backend: str | None = Field(default=None, description="Kernel library of attention.")
    attention_config: Json | None = Field(default=None, description="Details of attention, vLLM's own object.")
    kernel_config: Json | None = Field(default=None, description="Choice of kernels, vLLM's own object.")
    enable_flashinfer_autotune: bool | None = Field(
        default=None, description="Tune FlashInfer's kernels while loading."
    )
    linear_backend: str | None = Field(default=None, description="Kernel library of matrix products.")
    moe_backend: str | None = Field(default=None, description="Kernel library of mixtures of experts.")
    model_impl: Literal["auto", "vllm", "transformers", "terratorch"] | None = Field(
        default=None, description="Whose implementation of the model runs."
    )
    disable_cascade_attn: bool | None = Field(
        default=None, description="Never compute attention to a shared prefix once."
    )
    disable_sliding_window: bool | None = Field(default=None, description="Limit the length to the window instead.")
    kv_sharing_fast_prefill: bool | None = Field(
        default=None, description="Leave out prefill work of layers that share keys."
    )
    mamba_cache_dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = Field(
        default=None, description="Number format of state-space layers' cache."
    )
    mamba_ssm_cache_dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = Field(
        default=None, description="Number format of their recurrent state."
    )
    speculative_config: Json | None = Field(
        default=None, description="Speculative decoding: method, model, tokens ahead."
    )

    # several devices
    tensor_parallel_size: Count | None = Field(default=None, description="GPUs that share each layer.")
    pipeline_parallel_size: Count | None = Field(
        default=None, description="GPUs that share the layers one after another."
    )
    data_parallel_size: Count | None = Field(default=None, description="Copies of the model (offline vLLM runs one).")
    enable_expert_parallel: bool | None = Field(
        default=None, description="Whole experts on each GPU instead of slices."
    )
    enable_eplb: bool | None = Field(default=None, description="Move experts to even out the load.")
    expert_placement_strategy: Literal["linear", "round_robin"] | None = Field(
        default=None, description="Which GPU holds which experts."
    )
    all2all_backend: str | None = Field(default=None, description="How tokens travel between experts.")
    enable_dbo: bool | None = Field(
        default=None, description="Overlap two half batches: one computes, one communicates."
    )
    prefill_context_parallel_size: Count | None = Field(default=None, description="GPUs that share a prompt's tokens.")
    decode_context_parallel_size: Count | None = Field(default=None, description="GPUs that share a sequence's cache.")
    distributed_executor_backend: Literal["ray", "mp", "uni"] | None = Field(
        default=None, description="What starts the GPUs' processes."
    )
    disable_custom_all_reduce: bool | None = Field(
        default=None, description="Use NCCL in place of vLLM's own all-reduce."
    )

    extra: Json = Field(default_factory=dict, description="Any other field of EngineArgs, passed as it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        rules.check_engine(self)
        return self


class VllmSampling(Strict):
    """Fields of ``SamplingParams``. Greedy, and to the full output length, unless said otherwise."""

    temperature: Annotated[float, Field(ge=0, le=2)] = Field(default=0.0, description="0 is greedy decoding.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Smallest set with this probability."
    )
    top_k: Annotated[int, Field(ge=-1)] | None = Field(default=None, description="Only the k likeliest; 0 or -1: all.")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Least share of the likeliest's."
    )
    seed: int | None = Field(
        default=None, description="Seed of each request; without it, the engine's (the study's seed)."
    )
    n: Count | None = Field(default=None, description="Answers for each prompt.")
    presence_penalty: Offset | None = Field(default=None, description="Against tokens that occurred.")
    frequency_penalty: Offset | None = Field(default=None, description="Against tokens, by how often they occurred.")
    repetition_penalty: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Factor against repetition."
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="Log probabilities for each token."
    )
    prompt_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="Log probabilities for each prompt token."
    )
    min_tokens: Annotated[int, Field(ge=0)] | None = Field(default=None, description="No end token before this many.")
    ignore_eos: bool = Field(
        default=True, description="Go on after the end token, so that every run does the same work."
    )
    stop: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Texts that end an answer."
    )
    stop_token_ids: list[int] | None = Field(default=None, description="Tokens that end an answer.")
    extra: Json = Field(default_factory=dict, description="Any other field of SamplingParams, passed as it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        rules.check_sampling(self)
        return self


class VllmBeamSearch(Strict):
    """Fields of ``BeamSearchParams``. The best beam is the answer; the others' work is part of what it costs."""

    beam_width: Count = Field(description="Beams for each prompt.")
    length_penalty: float = Field(default=1.0, description="Exponent of the length that a beam's score is divided by.")
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(default=0.0, description="Of the scores.")
    ignore_eos: bool = Field(default=True, description="Go on after the end token.")
    extra: Json = Field(default_factory=dict, description="Any other field of BeamSearchParams, passed as it is.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        rules.check_beam_search(self)
        return self


class VllmConfig(Strict):
    """All groups of the vLLM backend."""

    engine: VllmEngine = Field(default_factory=VllmEngine)  # a default with a dict in it is copied deeply each time
    sampling: VllmSampling = Field(default_factory=VllmSampling)
    beam_search: VllmBeamSearch | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.beam_search is not None and (said := self.sampling.model_dump(exclude_defaults=True)):
            names = ", ".join(said)
            raise ValueError(f"`sampling` ({names}) has no effect beside `beam_search`: leave one of them out")
        return self

    def normalised(self) -> VllmConfig:
        """The same experiment with fields that have no effect set to their defaults: equal experiments become equal."""
        return self.model_copy(
            update={
                "engine": self.engine.model_copy(update=rules.dormant_engine(self.engine)),
                "sampling": self.sampling.model_copy(update=rules.dormant_sampling(self.sampling)),
            }
        )
