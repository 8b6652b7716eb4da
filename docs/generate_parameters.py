"""Writes the pages of the backends' parameters, from the models that check a study: run it after changing them.

A test compares the pages with what this would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from pytest_llem.study import vllm
from pytest_llem.study.pytorch import PytorchConfig, Quantization, TorchCompile
from pytest_llem.study.vllm import VllmBeamSearch, VllmEngine, VllmSampling

FOLDER = Path(__file__).parent / "backends"
AUDIT: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((FOLDER / "left_out.yaml").read_text())
Defaults = Mapping[str, object]

_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_VLLM_INTRODUCTION = """# Parameters of the vLLM backend

Names are vLLM's own. Every field of `EngineArgs`, `SamplingParams` and `BeamSearchParams` of vLLM 0.26 to 0.30 is in
one of three lists: *exposed* (it has a field in a study), *set* (another key of the study, or the backend, decides it)
or *left out*, with the reason. What is left out can be given in `extra` all the same; it becomes part of the
experiment's identity. A default in brackets is vLLM's own, taken where the study says nothing; a dash means that vLLM
works it out while loading. [How the backend works](vllm.md) is another page.
"""
_PYTORCH_INTRODUCTION = """# Parameters of the PyTorch backend

Names are those of transformers. The first table is the study's `pytorch` section. The lists below it go through every
field of `GenerationConfig` that has no field of its own there: *set* by another key of the study or by the backend, or
*left out*, with the reason. What is left out can be given in `extra`.
"""


def vllm_page() -> str:
    """The page of the vLLM backend."""
    return "\n".join(
        [
            _VLLM_INTRODUCTION,
            _exposed("vllm.engine", "EngineArgs", VllmEngine, AUDIT["EngineArgs"]["defaults"]),
            _exposed("vllm.sampling", "SamplingParams", VllmSampling, AUDIT["SamplingParams"]["defaults"]),
            _exposed("vllm.beam_search", "BeamSearchParams", VllmBeamSearch, {}),
            _elsewhere("EngineArgs", vllm.ENGINE_SET),
            _elsewhere("SamplingParams", vllm.SAMPLING_SET),
            _elsewhere("BeamSearchParams", vllm.BEAM_SEARCH_SET),
        ]
    )


def pytorch_page() -> str:
    """The page of the PyTorch backend."""
    return "\n".join(
        [
            _PYTORCH_INTRODUCTION,
            _exposed("pytorch", "from_pretrained and generate", PytorchConfig, {}),
            _exposed("pytorch.torch_compile", "torch.compile", TorchCompile, {}),
            _exposed("pytorch.quantization", "BitsAndBytesConfig", Quantization, {}),
            _elsewhere("GenerationConfig", AUDIT["GenerationConfig"]["set"]),
        ]
    )


def _exposed(section: str, library: str, model: type[BaseModel], defaults: Defaults) -> str:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    described = any("description" in field for field in schema["properties"].values())
    heads = ["field", "type", "limits", "default"] + (["what it does"] if described else [])
    rows = []
    for name, field in schema["properties"].items():
        options = [option for option in _options(field, definitions) if option.get("type") != "null"]
        row = [
            f"`{name}`",
            " or ".join(dict.fromkeys(map(_type, options))),
            ", ".join(dict.fromkeys(limit for option in options for limit in _limits(option))),
            _default(name, field, defaults),
        ]
        rows.append(row + ([field.get("description", "")] if described else []))
    return f"## `{section}`: {library}\n\n{_table(heads, rows)}"


def _elsewhere(library: str, taken: Mapping[str, str]) -> str:
    left_out = [[why, ", ".join(f"`{name}`" for name in names)] for why, names in AUDIT[library]["left out"].items()]
    return "\n".join(
        [
            f"## {library}: set by other keys, or by the backend\n",
            _table(["field", "by what"], [[f"`{name}`", reason] for name, reason in taken.items()]),
            f"## {library}: left out\n",
            _table(["reason", "fields"], left_out),
        ]
    )


def _options(field: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a field's type."""
    found = field.get("anyOf", [field])
    return [{"type": one["$ref"].rpartition("/")[2]} if "$ref" in one else one for one in found]


def _type(option: dict[str, Any]) -> str:
    if "enum" in option or "const" in option:
        return " ".join(f"`{value}`" for value in option.get("enum", [option.get("const")]))
    if option.get("type") == "array":
        return f"list of {_type(option.get('items', {}))}"
    if option.get("type") == "object":
        return "mapping"
    return str(option.get("type", "any"))


def _limits(option: dict[str, Any]) -> Iterable[str]:
    for source in (option, option.get("items", {})):
        for word, sign in _LIMITS.items():
            if word in source:
                yield f"{sign} {source[word]}"
        if source.get("minLength") or source.get("minItems"):
            yield "not empty"


def _default(name: str, field: dict[str, Any], defaults: Defaults) -> str:
    if "default" in field and field["default"] is not None:
        return f"`{json.dumps(field['default'])}`"
    if name in defaults:
        return f"(`{json.dumps(defaults[name])}`)"
    return "" if name == "extra" else "–" if "default" in field else "required"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def pages() -> dict[Path, str]:
    """Every page by its file."""
    return {FOLDER / "vllm-parameters.md": vllm_page(), FOLDER / "pytorch-parameters.md": pytorch_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
