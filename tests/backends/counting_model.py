"""A real Llama whose weights make it count down: after token n comes n - 1, and 0 is the end token.

Attention and MLP add nothing, embeddings are unit vectors, and the output layer maps each to its predecessor. So the
length of every answer is known from its prompt's last token.
"""

from __future__ import annotations

from pathlib import Path

TOKENS = 64
END = 0


def write_counting_model(folder: Path) -> None:
    """Save it as transformers does."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=TOKENS,
        hidden_size=TOKENS,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=TOKENS - 1,
        eos_token_id=END,
        pad_token_id=TOKENS - 2,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(TOKENS))
        model.lm_head.weight.copy_(torch.eye(TOKENS).roll(-1, dims=0))
        model.model.norm.weight.fill_(1.0)
    model.save_pretrained(folder)
