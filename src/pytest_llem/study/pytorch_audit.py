"""Why a study does not name every field of transformers' ``GenerationConfig``.

A field is *exposed* (it is a field of :class:`pytest_llem.study.pytorch.PytorchConfig`), *set* (another key of the
study or the backend decides it) or *left out*. What is left out can still be given in ``extra``. Known is transformers
5.17.
"""

from __future__ import annotations

GENERATION_SET: dict[str, str] = {
    "max_new_tokens": "the study's `max_output_tokens`",
    "max_length": "the study's `max_output_tokens`",
    "eos_token_id": "the model's own; none with `ignore_eos`",
    "pad_token_id": "the model's own; padding is masked",
    "return_dict_in_generate": "off: token ids are all that is wanted",
}
_LEFT_OUT: dict[str, str] = {
    "tuning of a field that is exposed": """assistant_confidence_threshold assistant_early_exit
        assistant_ensemble_weight assistant_lookbehind is_assistant max_matching_ngram_size num_assistant_tokens
        num_assistant_tokens_schedule speculation_type target_lookbehind use_mtp cache_config compile_config
        disable_compile max_cache_len prefill_chunk_size low_memory diversity_penalty num_beam_groups
        renormalize_logits remove_invalid_values top_h""",
    "another way of decoding, for few models": "dola_layers guidance_scale penalty_alpha",
    "for models with an encoder": """decoder_start_token_id encoder_no_repeat_ngram_size encoder_repetition_penalty
        forced_bos_token_id""",
    "constrains the answer's words": """bad_words_ids begin_suppress_tokens suppress_tokens sequence_bias constraints
        force_words_ids forced_eos_token_id watermarking_config token_healing""",
    "would end an answer early, by its contents or a clock": "stop_strings max_time exponential_decay_length_penalty",
    "counts the prompt, too: `min_new_tokens` does not": "min_length",
    "changes the form of the answer only": "output_attentions output_hidden_states output_logits output_scores",
    "for serving": "continuous_batching_config",
    "the library's own use": "_from_model_config bos_token_id transformers_version",
}
GENERATION_LEFT_OUT = {name: reason for reason, names in _LEFT_OUT.items() for name in names.split()}
