"""The ids of cells: short, made of swept values only, unique, safe in ``-k`` and in file names."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from pytest_llem.study.config import BUILT_IN_BACKENDS
from pytest_llem.study.document import Json
from pytest_llem.study.paths import Path

LONGEST = 90  # and "-c1000" after it
_SHORT = {
    "max_output_tokens": "out",
    "dataset.input_tokens": "in",
    "dataset.n": "n",
    "measure.repeats": "rep",
    "measure.min_window_s": "win",
    "measure.warmup": "warmup",
    "pytorch.batch_size": "bs",
    "pytorch.num_beams": "beams",
    "pytorch.torch_compile": "compile",
    "pytorch.torch_compile.mode": "compile",
    "pytorch.use_cache": "cache",
    "pytorch.do_sample": "sample",
    "pytorch.temperature": "temp",
    "pytorch.quantization.load_in_4bit": "4bit",
    "pytorch.quantization.load_in_8bit": "8bit",
    "pytorch.prompt_lookup_num_tokens": "lookup",
    "pytorch.assistant_model": "draft",
    "vllm.engine.gpu_memory_utilization": "gmu",
    "vllm.engine.enforce_eager": "eager",
    "vllm.engine.enable_prefix_caching": "prefix",
    "vllm.engine.enable_chunked_prefill": "chunked",
    "vllm.engine.max_num_seqs": "seqs",
    "vllm.engine.max_num_batched_tokens": "batched",
    "vllm.engine.max_model_len": "len",
    "vllm.engine.block_size": "block",
    "vllm.engine.kv_cache_dtype": "kv",
    "vllm.engine.tensor_parallel_size": "tp",
    "vllm.engine.pipeline_parallel_size": "pp",
    "vllm.sampling.temperature": "temp",
    "vllm.beam_search.beam_width": "beams",
}
_VALUE_ALONE = {"model.id", "dataset.source"}
_VALUE_ALONE |= {"model.dtype", "pytorch.dtype", "vllm.engine.dtype", "vllm.engine.quantization"}
_VALUE_ALONE |= {"pytorch.attn_implementation", "pytorch.cache_implementation", "vllm.engine.attention_backend"}
_VALUE_ALONE |= {"pytorch.quantization.bnb_4bit_quant_type"}

Assignments = Sequence[tuple[Path, Json]]
Swept = dict[str, "str | int | float | bool | None"]


def swept_values(assignments: Assignments) -> Swept:
    """The leaves of what an experiment was given beside the study's own values, by dotted path."""
    found: Swept = {}
    for path, value in assignments:
        for inner, leaf in _leaves(value):
            found[".".join((*path, *inner))] = leaf
    return found


class Names:
    """Short names for the paths that a study sweeps; no two paths of one backend share a name."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._name = {path: _short(path) for path in paths}
        for longer in (_last, lambda path: path.replace(".", "_")):
            by_name: dict[str, list[str]] = {}
            for path, name in self._name.items():
                by_name.setdefault(name, []).append(path)
            self._name |= {path: longer(path) for alike in by_name.values() if _clash(alike) for path in alike}

    def label(self, backend: str, swept: Mapping[str, str | int | float | bool | None]) -> str:
        """``pytorch-bs16-out128``; not unique yet."""
        parts = [backend, *(self._part(path, value) for path, value in swept.items())]
        text = "-".join(part for part in map(_safe, parts) if part)
        if len(text) <= LONGEST:
            return text
        return f"{text[: LONGEST - 7]}-{_digest(text)}"

    def _part(self, path: str, value: str | int | float | bool | None) -> str:
        name = self._name[path]
        match value:
            case None:
                return f"default-{name}"
            case bool():
                return name if value else f"no-{name}"
            case str():
                short = value if path not in ("model.id", "dataset.source", "pytorch.assistant_model") else _tail(value)
                return short if path in _VALUE_ALONE else f"{name}-{short}"
            case _:
                return f"{name}{value}"


def unique(labels: Mapping[str, str]) -> dict[str, str]:
    """By hash, other labels where two are alike (upper and lower case are): lengthened by a piece of the hash."""
    count = Counter(label.lower() for label in labels.values())
    alike = {config_hash: label for config_hash, label in labels.items() if count[label.lower()] > 1}
    return {config_hash: f"{label}-{config_hash[:8]}" for config_hash, label in alike.items()}


def _leaves(value: Json, above: Path = ()) -> Iterator[tuple[Path, str | int | float | bool | None]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*above, key))
    elif isinstance(value, list):
        yield above, json.dumps(value, separators=(",", ":"))
    else:
        yield above, value


def _short(path: str) -> str:
    if path in _SHORT:
        return _SHORT[path]
    words = _last(path).split("_")
    return "".join(word[0] for word in words if word) if len(words) > 2 else _last(path)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _tail(value: str) -> str:
    name = PurePath(value).name
    return name.removesuffix(".jsonl").removesuffix(".csv")


def _clash(paths: Sequence[str]) -> bool:
    """Whether two of the paths can stand in one id; those of different backends cannot."""
    sections = Counter(path.partition(".")[0] for path in paths)
    return len(paths) > 1 and (max(sections.values()) > 1 or not sections.keys() <= set(BUILT_IN_BACKENDS))


def _safe(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+]+", "-", part).strip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
