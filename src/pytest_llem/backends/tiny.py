"""The built-in model ``tiny``: a Llama of four million random weights with a real tokenizer, the same bytes everywhere.

Weights come from SHAKE-256 and exact arithmetic, and the file is laid out here, so that no library's version, no thread
count and no processor matters to them. Its configuration and the text that its tokenizer is trained on are in
``built_in``: whoever changes one of them changes the model, and raises ``VERSION``.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np

from pytest_llem.errors import MissingDependency

VERSION = 1
TEXT_VOCABULARY = 1021  # byte-level BPE; the special tokens come after
SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>")
_FILES = Path(__file__).with_name("built_in")
_SPREAD = 0.04  # standard deviation of the weights: wide enough for greedy outputs to differ from prompt to prompt


def write(folder: Path) -> None:
    """Write the whole model: configuration, tokenizer, weights."""
    shutil.copytree(_FILES / "tiny", folder, dirs_exist_ok=True)
    _write_tokenizer(folder / "tokenizer.json")
    config = json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").write_bytes(_weights(_tensors(config)))


def _write_tokenizer(path: Path) -> None:
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
    tokenizer.train_from_iterator((_FILES / "tiny.txt").read_text().splitlines(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.save(str(path))


def _tensors(config: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape, as transformers' Llama names them."""
    hidden, inner, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "post_attention_layernorm": (hidden,),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    layers = {
        f"model.layers.{number}.{name}": shape
        for number in range(config["num_hidden_layers"])
        for name, shape in layer.items()
    }
    tensors = {"model.embed_tokens": (words, hidden), **layers, "model.norm": (hidden,), "lm_head": (words, hidden)}
    return {f"{name}.weight": shape for name, shape in tensors.items()}


def _weights(tensors: dict[str, tuple[int, ...]]) -> bytes:
    """A safetensors file: length of the header (u64), header (JSON), float32 data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, shape in tensors.items():
        block = (np.ones(shape, "<f4") if len(shape) == 1 else _random(name, shape)).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def _random(name: str, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Uniform with standard deviation ``_SPREAD``: 16 random bits each, scaled (each step exact in IEEE 754)."""
    bits = hashlib.shake_256(f"llem tiny {VERSION} {name}".encode()).digest(2 * math.prod(shape))
    steps = np.frombuffer(bits, "<u2").astype("<f4") - np.float32(32767.5)
    return (steps * np.float32(_SPREAD * math.sqrt(12) / 65536)).astype("<f4")
