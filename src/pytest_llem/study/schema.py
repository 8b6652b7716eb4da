"""The JSON Schema of a study file, for editors that complete and check while one types."""

from __future__ import annotations

from typing import Any

from pytest_llem.study.budget import Budget
from pytest_llem.study.config import BACKEND_ALIASES, ExperimentConfig
from pytest_llem.study.header import GRAMMAR, Header
from pytest_llem.study.metrics import METRICS, STATISTICS
from pytest_llem.study.paths import all_paths, known_backends, third_party_backends

Schema = dict[str, Any]


def study_json_schema() -> Schema:
    """JSON Schema, draft 2020-12, of grammar version 1. What needs more than one key to judge is left to the loader."""
    header = Header.model_json_schema()
    experiment = ExperimentConfig.model_json_schema()
    budget = Budget.model_json_schema()
    definitions: Schema = header.pop("$defs", {}) | experiment.pop("$defs", {}) | {"Budget": budget}
    properties: Schema = {**header["properties"], **experiment["properties"]}
    del properties["options"]
    properties["llem"] = {"const": GRAMMAR, "description": "Version of the grammar."}
    for name in ("model", "dataset"):
        properties[name] = {"anyOf": [{"type": "string"}, properties[name]]}
    one_backend = {"enum": known_backends()}
    properties["backend"] = {"anyOf": [one_backend, {"type": "array", "items": one_backend, "minItems": 1}]}
    properties |= {alias: properties[name] for alias, name in BACKEND_ALIASES.items()}
    properties |= {name: {"type": "object"} for name in sorted(third_party_backends())}
    properties["sweep"] = _sweep()
    properties["experiments"] = {"type": "array", "items": {"type": "object"}}
    properties["budgets"] = {"type": "array", "items": {"$ref": "#/$defs/Budget"}}
    _allow_units(budget["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pytest-llem study",
        "type": "object",
        "properties": properties,
        "required": ["llem"],
        "additionalProperties": False,
        "$defs": definitions,
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


def _allow_units(budget: Schema) -> None:
    for limit in ("min", "max"):
        budget[limit] = {"type": ["number", "string", "null"], "description": "A number, or one with a unit: 2 GiB."}
    suffixed = [
        f"{name}.{statistic}" for name, metric in METRICS.items() if metric.statistics for statistic in STATISTICS
    ]
    budget["metric"] = {"enum": [*METRICS, *suffixed]}
