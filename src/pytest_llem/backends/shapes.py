"""Published dimensions of well-known models, to be filled with random weights.

What a token costs depends on how large the matrices are, not on what is in them. Each number is from the
``config.json`` that the model's authors published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

VERSION = 1
Setting = str | int | float | bool | None
_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "vocab_size": 128256,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "torch_dtype": "bfloat16",
}
_QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "use_sliding_window": False,
    "vocab_size": 151936,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "torch_dtype": "bfloat16",
}


def _llama3_rope(factor: float) -> dict[str, Setting]:
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


@dataclass(frozen=True)
class Shape:
    """``config`` is the model's ``config.json``; ids from ``text_vocabulary`` on are special or unused."""

    name: str
    text_vocabulary: int
    config: dict[str, object]

    def write(self, folder: Path) -> None:
        """Write ``config.json``."""
        (folder / "config.json").write_text(json.dumps(self.config, indent=1, sort_keys=True) + "\n")


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(  # Llama-3.2-1B
            "llama-1b",
            128000,
            _LLAMA
            | {
                "hidden_size": 2048,
                "intermediate_size": 8192,
                "num_hidden_layers": 16,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "head_dim": 64,
                "tie_word_embeddings": True,
                "rope_scaling": _llama3_rope(32.0),
            },
        ),
        Shape(  # Llama-3.1-8B
            "llama-8b",
            128000,
            _LLAMA
            | {
                "hidden_size": 4096,
                "intermediate_size": 14336,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "tie_word_embeddings": False,
                "rope_scaling": _llama3_rope(8.0),
            },
        ),
        Shape(  # Qwen2.5-0.5B
            "qwen2.5-0.5b",
            151643,
            _QWEN2
            | {
                "hidden_size": 896,
                "intermediate_size": 4864,
                "num_hidden_layers": 24,
                "num_attention_heads": 14,
                "num_key_value_heads": 2,
                "tie_word_embeddings": True,
            },
        ),
    )
}
