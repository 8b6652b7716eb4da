from __future__ import annotations

import json

from pytest_llem.study.metrics import METRICS
from pytest_llem.study.paths import all_paths
from pytest_llem.study.schema import study_json_schema


def test_every_key_of_a_study_is_in_the_schema() -> None:
    schema = study_json_schema()
    keys = "llem name description base model backend dataset max_output_tokens seed pytorch transformers vllm measure"
    keys += " execution runner runners variants sweep experiments budgets"
    assert set(schema["properties"]) == set(keys.split())
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]["sweep"]["properties"]) == {"model", "dataset", *all_paths()}


def test_every_reference_is_defined() -> None:
    schema = study_json_schema()
    text = json.dumps(schema)
    named = {part.partition('"')[0] for part in text.split("#/$defs/")[1:]}
    assert named <= set(schema["$defs"])


def test_budgets_may_have_units_and_statistics() -> None:
    budget = study_json_schema()["$defs"]["Budget"]["properties"]
    assert {"type": ["number", "string"], "examples": ["2 GiB"]} in budget["max"]["anyOf"]
    assert set(METRICS) | {"ttft_s.p95"} <= set(budget["metric"]["enum"])


def test_a_third_party_backend_has_its_section(instant_backend: None) -> None:
    schema = study_json_schema()
    assert schema["properties"]["instant"] == {"type": "object"}
    assert "instant" in schema["properties"]["backend"]["anyOf"][0]["enum"]
