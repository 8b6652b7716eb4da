"""The Hugging Face hub's cache on this host, read without the hub's library: where it is, and what is whole in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
_TOKENIZERS = ("tokenizer*", "*.model", "vocab*", "tekken.json")
_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its variables


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the hub's files are kept on this host (the order of huggingface_hub)."""
    home = environment.get("HF_HOME") or f"{environment.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    return Path(named or f"{home}/hub").expanduser()


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user forbids downloads."""
    return any(environment.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def has_model(cache: Path, name: str, revision: str | None = None) -> bool:
    """Whether a model's configuration, tokenizer and all its weights are in the cache."""
    folder = _snapshot(cache, "models", name, revision)
    return (folder / "config.json").exists() and _holds(folder, *_TOKENIZERS) and _has_weights(folder)


def has_tokenizer(cache: Path, name: str) -> bool:
    """Whether a repository's tokenizer is in the cache."""
    return _holds(_snapshot(cache, "models", name, None), *_TOKENIZERS)


def has_dataset(cache: Path, name: str, revision: str, pattern: str) -> bool:
    """Whether files of that pattern are in the cache's copy of a data set."""
    return _holds(_snapshot(cache, "datasets", name, revision), f"**/{pattern}")


def _snapshot(cache: Path, kind: str, name: str, revision: str | None) -> Path:
    """The folder of one revision, there or not: a branch or tag stands in ``refs``, a commit names its folder."""
    repository = cache / f"{kind}--{name.replace('/', '--')}"
    try:
        commit = (repository / "refs" / (revision or "main")).read_text().strip() or "none"
    except OSError:
        commit = revision or "none"
    return repository / "snapshots" / commit


def _holds(folder: Path, *patterns: str) -> bool:
    return any(file.exists() for pattern in patterns for file in folder.glob(pattern))


def _has_weights(folder: Path) -> bool:
    """Every file that an index lists; without an index, any file of weights."""
    try:
        indices = [json.loads(index.read_text())["weight_map"] for index in folder.glob("*.index.json")]
        listed = {file for index in indices for file in index.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / file).exists() for file in listed) if listed else _holds(folder, *_WEIGHTS)
