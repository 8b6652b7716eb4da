"""Why a study does not name every field of vLLM's ``EngineArgs``, ``SamplingParams`` and ``BeamSearchParams``.

A field is *exposed* (it is a field of :mod:`pytest_llem.study.vllm`), *set* (another key of the study or the backend
decides it) or *left out*. What is left out can still be given in ``extra``. Known are vLLM 0.26 to 0.30.
"""

from __future__ import annotations

ENGINE_SET: dict[str, str] = {
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
SAMPLING_SET: dict[str, str] = {
    "max_tokens": "the study's `max_output_tokens`",
    "output_kind": "new tokens after each step, so that they can be timed",
    "detokenize": "on only for `stop`: text is not measured",
    "stream_interval": "1: each token is timed",
}
BEAM_SEARCH_SET: dict[str, str] = {"max_tokens": "the study's `max_output_tokens`"}

_ENGINE: dict[str, str] = {
    "where the model or its tokenizer comes from": """model_weights tokenizer_revision tokenizer_mode code_revision
        hf_config_path hf_token config_format download_dir generation_config""",
    "how files are read while loading; nothing of it is measured": """safetensors_load_strategy
        safetensors_prefetch_num_threads safetensors_prefetch_block_size model_loader_extra_config ignore_patterns
        pt_load_map_location max_parallel_loading_workers""",
    "changes what the model is: make it another model": "hf_overrides model_class_overrides",
    "not text generation": """convert pooler_config diffusion_config weight_transfer_config enable_prompt_embeds""",
    "images, audio and video; prompts are text": """allowed_local_media_path allowed_media_domains language_model_only
        limit_mm_per_prompt enable_mm_embeds interleave_mm_strings mm_encoder_only media_io_kwargs mm_processor_kwargs
        mm_processor_cache_gb mm_processor_cache_type mm_hasher_algorithm mm_shm_cache_max_object_size_mb
        mm_encoder_tp_mode mm_encoder_attn_backend mm_encoder_attn_dtype mm_encoder_fp8_scale_path
        mm_encoder_fp8_scale_save_path mm_encoder_fp8_scale_save_margin skip_mm_profiling video_pruning_rate
        video_pruning_method mm_tensor_ipc mm_processor_device mm_ipc_gpu_memory_gb mm_device_do_normalize
        disable_chunked_mm_input io_processor_plugin renderer_num_workers ec_transfer_config ec_manager_config""",
    "adapters are not part of a study": """enable_lora max_loras max_lora_rank default_mm_loras fully_sharded_loras
        max_cpu_loras lora_dtype lora_target_modules enable_tower_connector_lora specialize_active_lora
        enable_mixed_moe_lora_format enable_moe_shared_loras""",
    "for a server": """served_model_name max_num_queued_reqs max_num_queued_tokens tokens_only shutdown_timeout
        _api_process_count _api_process_rank aggregate_engine_logging reasoning_parser reasoning_parser_plugin
        reasoning_config structured_outputs_config""",
    "for several hosts, or several copies behind a server": """master_addr master_port nnodes node_rank
        data_parallel_rank data_parallel_start_rank data_parallel_size_local data_parallel_address
        data_parallel_rpc_port data_parallel_hybrid_lb data_parallel_external_lb
        data_parallel_multi_port_external_lb data_parallel_backend dp_sync_interval
        disable_nccl_for_dp_synchronization enable_elastic_ep elastic_ep_max_dp_size fault_tolerance_config
        enable_fault_tolerance kv_transfer_config kv_events_config""",
    "which devices is said outside of a study": "device_ids numa_bind numa_bind_nodes numa_bind_cpus",
    "a time limit, not work": "distributed_timeout_seconds cpu_distributed_timeout_seconds",
    "tuning of a field that is exposed": """cpu_offload_params offload_params prefix_caching_hash_algo
        prefix_cache_retention_interval prefix_match_unit disable_hybrid_kv_cache_manager watermark
        scheduler_reserve_full_isl
        enable_ep_weight_filter eplb_config ubatch_size dbo_decode_token_threshold dbo_prefill_token_threshold
        dcp_comm_backend dcp_q_replicate dcp_kv_cache_interleave_size cp_kv_cache_interleave_size
        enable_batch_sharded_sampling ir_op_priority spec_method spec_model spec_tokens
        allow_deprecated_quantization max_num_partial_prefills max_long_partial_prefills calculate_kv_scales
        override_attention_dtype enable_bf16x3_router_gemm""",
    "for single model families": """mamba_config mamba_block_size mamba_cache_mode
        enable_mamba_fine_grained_prefix_cache mamba_backend mamba_ssu_algorithm
        enable_mamba_cache_stochastic_rounding mamba_cache_philox_rounds replayssm_buffer_len use_replayssm
        gdn_prefill_backend kda_prefill_backend kda_decode_backend sparse_indexer_topk_backend engram_config""",
    "changes the form of the answer only": "logprobs_mode use_fp64_gumbel watermark_config override_generation_config",
    "for training and debugging": """enable_return_routed_experts return_sampling_mask enable_trace_replay
        enable_sleep_mode enable_cumem_allocator enable_nccl_comm_suspend fail_on_environ_validation""",
    "observation; it would disturb what is measured": """show_hidden_metrics_for_version otlp_traces_endpoint
        collect_detailed_traces per_request_spec_decode_metrics kv_cache_metrics kv_cache_metrics_sample
        cudagraph_metrics enable_layerwise_nvtx_tracing enable_mfu_metrics enable_logging_iteration_details
        jit_monitor_mode jit_monitor_verbose enable_mm_processor_stats profiler_config ray_workers_use_nsight""",
    "a place for other people's code": "scheduler_cls worker_cls logits_processors additional_config",
}
_SAMPLING: dict[str, str] = {
    "changes the form of the answer only": """skip_special_tokens spaces_between_special_tokens
        include_stop_str_in_output flat_logprobs logprob_token_ids watermarking""",
    "constrains the answer's words": "structured_outputs logit_bias allowed_token_ids bad_words",
    "would end an answer early, by its contents": "repetition_detection thinking_token_budget",
    "vLLM's own use": """skip_clone output_text_buffer_length _eos_token_id _all_stop_token_ids
        _bad_words_token_ids""",
    "a place for other people's code": "extra_args",
    "follows `engine.enable_prefix_caching`": "skip_reading_prefix_cache",
    "for training and debugging": "routed_experts_prompt_start trace_decode_token_ids",
}
_BEAM_SEARCH: dict[str, str] = {
    "changes the form of the answer only": "include_stop_str_in_output skip_special_tokens",
    "constrains the answer's words": "structured_outputs",
}


def _by_name(reasons: dict[str, str]) -> dict[str, str]:
    return {name: reason for reason, names in reasons.items() for name in names.split()}


ENGINE_LEFT_OUT = _by_name(_ENGINE)
SAMPLING_LEFT_OUT = _by_name(_SAMPLING)
BEAM_SEARCH_LEFT_OUT = _by_name(_BEAM_SEARCH)

# What vLLM 0.30 does where a study says nothing; what is not here is worked out while loading, from model and device.
ENGINE_DEFAULTS: dict[str, str | int | float | bool] = {
    "dtype": "auto",
    "kv_cache_dtype": "auto",
    "load_format": "auto",
    "gpu_memory_utilization": 0.92,
    "cpu_offload_gb": 0,
    "offload_backend": "auto",
    "offload_group_size": 0,
    "offload_num_in_group": 1,
    "offload_prefetch_step": 1,
    "kv_offloading_backend": "native",
    "long_prefill_token_threshold": 0,
    "prefill_schedule_interval": 1,
    "scheduling_policy": "fcfs",
    "enforce_eager": False,
    "optimization_level": 2,
    "performance_mode": "balanced",
    "linear_backend": "auto",
    "moe_backend": "auto",
    "model_impl": "auto",
    "disable_cascade_attn": True,
    "disable_sliding_window": False,
    "kv_sharing_fast_prefill": False,
    "mamba_cache_dtype": "auto",
    "mamba_ssm_cache_dtype": "auto",
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "enable_expert_parallel": False,
    "enable_eplb": False,
    "expert_placement_strategy": "linear",
    "all2all_backend": "allgather_reducescatter",
    "enable_dbo": False,
    "prefill_context_parallel_size": 1,
    "decode_context_parallel_size": 1,
    "disable_custom_all_reduce": False,
}
SAMPLING_DEFAULTS: dict[str, str | int | float | bool] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "n": 1,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "min_tokens": 0,
}
