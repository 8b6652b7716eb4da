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
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(environment[name]).expanduser()
    home = environment.get("HF_HOME")
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home or f"{base}/huggingface").expanduser() / "hub"


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user forbids downloads."""
    return any(environment.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def has_model(cache: Path, name: str, revision: str | None = None) -> bool:
    """Whether a model's configuration, tokenizer and all its weights are in the cache."""
    folder = _snapshot(cache, "models", name, revision)
    if folder is None or not (folder / "config.json").exists():
        return False
    return any(any(folder.glob(pattern)) for pattern in _TOKENIZERS) and _has_weights(folder)


def has_tokenizer(cache: Path, name: str) -> bool:
    """Whether a repository's tokenizer is in the cache."""
    folder = _snapshot(cache, "models", name, None)
    return folder is not None and any(any(folder.glob(pattern)) for pattern in _TOKENIZERS)


def has_dataset(cache: Path, name: str, revision: str, pattern: str) -> bool:
    """Whether files of that pattern are in the cache's copy of a data set."""
    folder = _snapshot(cache, "datasets", name, revision)
    return folder is not None and any(file.exists() for file in folder.rglob(pattern))


def _snapshot(cache: Path, kind: str, name: str, revision: str | None) -> Path | None:
    """The folder of one revision: a branch or tag stands in ``refs``, a commit names its folder."""
    repository = cache / f"{kind}--{name.replace('/', '--')}"
    reference = repository / "refs" / (revision or "main")
    try:
        commit = reference.read_text().strip() if reference.is_file() else revision
    except OSError:
        return None
    folder = repository / "snapshots" / (commit or "")
    return folder if commit and folder.is_dir() else None


def _has_weights(folder: Path) -> bool:
    """Every file that an index lists; without an index, any file of weights."""
    indices = list(folder.glob("*.index.json"))
    try:
        listed = {file for index in indices for file in json.loads(index.read_text())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if listed:
        return all((folder / file).exists() for file in listed)
    return any(file.exists() for pattern in _WEIGHTS for file in folder.glob(pattern))
