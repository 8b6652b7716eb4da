"""The study reference has every key of the models, with the default that the model has."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pytest_llem.study.budget import Budget
from pytest_llem.study.config import DatasetSpec, MeasureSpec, ModelSpec
from pytest_llem.study.header import Execution
from pytest_llem.study.metrics import METRICS, STATISTICS
from pytest_llem.study.paths import TOP_LEVEL
from tests.docs.pages import DOCS, ROOT, codes, table

PAGE = DOCS / "studies.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "## `model`": ModelSpec,
    "## `dataset`": DatasetSpec,
    "## `measure`": MeasureSpec,
    "## `execution`": Execution,
    "## `budgets`": Budget,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_has_every_key_and_its_default(heading: str) -> None:
    rows = {codes(key)[0]: default for key, default, *_ in table(PAGE, heading)}
    fields = SECTIONS[heading].model_fields
    assert list(rows) == list(fields)
    for name, default in rows.items():
        assert default == _default(fields[name]), name


def test_every_top_level_key_is_listed() -> None:
    rows = [codes(key)[0] for key, *_ in table(PAGE, "## Top-level keys")]
    assert sorted(rows) == sorted(TOP_LEVEL)


def test_every_metric_is_listed_with_its_unit() -> None:
    rows = {codes(metric)[0]: unit for metric, unit, *_ in table(PAGE, "### Metrics")}
    assert rows == {name: metric.unit or "–" for name, metric in METRICS.items()}
    text = PAGE.read_text()
    assert all(f"`{statistic}`" in text for statistic in STATISTICS)


def test_every_key_that_is_documented_is_acted_upon() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    fields = {*MeasureSpec.model_fields, *Execution.model_fields}
    assert not {name for name in fields if not re.search(rf"\.{name}\b", source)}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "–" if value is None or value == {} else f"`{value if isinstance(value, str) else json.dumps(value)}`"
