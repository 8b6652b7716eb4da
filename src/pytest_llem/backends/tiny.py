"""The built-in model ``tiny``: a Llama of four million random weights with a real tokenizer, the same bytes everywhere.

Weights come from SHAKE-256 and exact arithmetic, and the file is laid out here, so that no library's version, no thread
count and no processor matters to them.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np

from pytest_llem.backends.tiny_text import TEXT
from pytest_llem.errors import MissingDependency

VERSION = 1
TEXT_VOCABULARY = 1021  # byte-level BPE; the three special tokens come after
SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>")
PAD, BEGIN, END = range(TEXT_VOCABULARY, TEXT_VOCABULARY + len(SPECIAL_TOKENS))

_HIDDEN, _INTERMEDIATE, _LAYERS, _HEADS, _KV_HEADS, _HEAD_DIM = 256, 640, 5, 8, 4, 32
_VOCABULARY = TEXT_VOCABULARY + len(SPECIAL_TOKENS)
_CONTEXT = 4096
_SPREAD = 0.04  # standard deviation of the weights: wide enough for greedy outputs to differ from prompt to prompt

_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": _HIDDEN,
    "intermediate_size": _INTERMEDIATE,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _KV_HEADS,
    "head_dim": _HEAD_DIM,
    "attention_bias": False,
    "mlp_bias": False,
    "max_position_embeddings": _CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": _VOCABULARY,
    "pad_token_id": PAD,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "torch_dtype": "float32",
}


def write(folder: Path) -> None:
    """Write the whole model: configuration, tokenizer, weights."""
    _write_tokenizer(folder)
    (folder / "model.safetensors").write_bytes(_weights())
    _write_json(folder / "config.json", _CONFIG)
    _write_json(folder / "generation_config.json", {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": END})


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _write_tokenizer(folder: Path) -> None:
    try:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise MissingDependency("tokenizers", "transformers") from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_VOCABULARY,
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.save(str(folder / "tokenizer.json"))
    pad, begin, end = SPECIAL_TOKENS
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": pad,
            "bos_token": begin,
            "eos_token": end,
            "model_max_length": _CONTEXT,
            "padding_side": "left",
        },
    )


def _tensors() -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape, as transformers' Llama names them."""
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (_VOCABULARY, _HIDDEN)}
    for layer in range(_LAYERS):
        prefix = f"model.layers.{layer}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": (_HIDDEN,),
            f"{prefix}.self_attn.q_proj.weight": (_HEADS * _HEAD_DIM, _HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": (_KV_HEADS * _HEAD_DIM, _HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": (_KV_HEADS * _HEAD_DIM, _HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": (_HIDDEN, _HEADS * _HEAD_DIM),
            f"{prefix}.post_attention_layernorm.weight": (_HIDDEN,),
            f"{prefix}.mlp.gate_proj.weight": (_INTERMEDIATE, _HIDDEN),
            f"{prefix}.mlp.up_proj.weight": (_INTERMEDIATE, _HIDDEN),
            f"{prefix}.mlp.down_proj.weight": (_HIDDEN, _INTERMEDIATE),
        }
    return tensors | {"model.norm.weight": (_HIDDEN,), "lm_head.weight": (_VOCABULARY, _HIDDEN)}


def _weights() -> bytes:
    """A safetensors file: length of the header (u64), header (JSON), float32 data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    blocks = []
    end = 0
    for name, shape in _tensors().items():
        block = _ones(shape) if len(shape) == 1 else _random(name, shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + len(block)]}
        blocks.append(block)
        end += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(blocks)


def _ones(shape: tuple[int, ...]) -> bytes:
    return np.ones(shape, "<f4").tobytes()


def _random(name: str, shape: tuple[int, ...]) -> bytes:
    """Uniform with standard deviation ``_SPREAD``: 16 random bits each, scaled (each step exact in IEEE 754)."""
    bits = hashlib.shake_256(f"llem tiny {VERSION} {name}".encode()).digest(2 * math.prod(shape))
    steps = np.frombuffer(bits, "<u2").astype("<f4") - np.float32(32767.5)
    return (steps * np.float32(_SPREAD * math.sqrt(12) / 65536)).astype("<f4").tobytes()
