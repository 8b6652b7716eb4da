"""The JSON Schema of a study file, for editors that complete and check while one types."""

from __future__ import annotations

from typing import Any

from pytest_llem.study.config import BACKEND_ALIASES, ExperimentConfig
from pytest_llem.study.header import GRAMMAR, Header
from pytest_llem.study.paths import all_paths, known_backends, third_party_backends

Schema = dict[str, Any]


def study_json_schema() -> Schema:
    """JSON Schema, draft 2020-12, of grammar version 1. What needs more than one key to judge is left to the loader."""
    header, experiment = Header.model_json_schema(), ExperimentConfig.model_json_schema()
    properties: Schema = header["properties"] | experiment["properties"]
    del properties["options"]
    text, mapping = {"type": "string"}, {"type": "object"}
    one_backend = {"enum": known_backends()}
    properties |= {
        "llem": {"const": GRAMMAR, "description": "Version of the grammar."},
        "model": {"anyOf": [text, properties["model"]]},
        "dataset": {"anyOf": [text, properties["dataset"]]},
        "backend": {"anyOf": [one_backend, {"type": "array", "items": one_backend, "minItems": 1}]},
        "sweep": _sweep(),
        "experiments": {"type": "array", "items": mapping},
        **{alias: properties[name] for alias, name in BACKEND_ALIASES.items()},
        **dict.fromkeys(sorted(third_party_backends()), mapping),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pytest-llem study",
        "type": "object",
        "properties": properties,
        "required": ["llem"],
        "additionalProperties": False,
        "$defs": header["$defs"] | experiment["$defs"],
    }


def _sweep() -> Schema:
    """An axis has values only; any other name is a group, which has mappings only."""
    value = {"type": ["string", "number", "boolean", "null", "array"]}
    axis = {"type": "array", "minItems": 1, "items": value}
    group = {"type": "array", "minItems": 1, "items": {"type": "object"}}
    return {
        "type": "object",
        "properties": dict.fromkeys(["model", "dataset", *all_paths()], axis),
        "additionalProperties": {"anyOf": [axis, group]},
    }
