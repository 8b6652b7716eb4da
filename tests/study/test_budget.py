from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_llem.errors import LlemError
from pytest_llem.study.budget import Budget
from pytest_llem.study.metrics import METRICS, STATISTICS, metric_named, quantity
from tests.study.conftest import Load


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("2 GiB", "B", 2 * 1024**3),
        ("2GB", "B", 2e9),
        ("0.5 mJ", "J", 5e-4),
        ("1.2 kJ", "J", 1200),
        ("1 kWh", "J", 3.6e6),
        ("300 ms", "s", 0.3),
        ("1e3", "W", 1000),
        ("-.5", "", -0.5),
        ("40 %", "", 0.4),
        ("100 1/s", "1/s", 100),
        ("5 µs", "s", 5e-6),
    ],
)
def test_quantities(text: str, unit: str, value: float) -> None:
    assert quantity(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit"), [("", "J"), ("J", "J"), ("3 s", "J"), ("3 mj", "J"), ("1 2", "J"), ("1e999", "J"), ("nan", "J")]
)
def test_what_is_no_quantity(text: str, unit: str) -> None:
    with pytest.raises(LlemError):
        quantity(text, unit)


def test_every_metric_can_be_limited() -> None:
    for name, metric in METRICS.items():
        assert Budget(metric=name, max=1).max == 1
        for statistic in STATISTICS if metric.statistics else ():
            assert metric_named(f"{name}.{statistic}") is metric


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("energy_per_output_token_j<=0.5", None, 0.5),
        ("energy_per_output_token_j <= 500 mJ", None, 0.5),
        ("ttft_s.p95>=10ms", 0.01, None),
        ("energy_j<=0", None, 0),
    ],
)
def test_budgets_of_the_command_line(text: str, low: float | None, high: float | None) -> None:
    budget = Budget.from_text(text)
    assert (budget.min, budget.max) == (low, high)


@pytest.mark.parametrize(
    "text", ["energy_j", "energy_j<5", "energy_j==5", "energy_j<=", "<=5", "energi_j<=5", "energy_j<=5 W"]
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(LlemError):
        Budget.from_text(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max": 1},
        {"metric": "energy_j"},
        {"metric": "energy_j", "max": True},
        {"metric": "energy_j", "max": 1, "min": 2},
    ],
)
def test_budgets_that_limit_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(wrong)


def test_budgets_of_a_study_and_of_the_command_line_add_up(load: Load) -> None:
    study = load("budgets: [{metric: energy_j, max: 5 kJ}]", budgets=("duration_s<=1 min",))
    assert [(budget.metric, budget.max) for budget in study.cells[0].budgets] == [
        ("energy_j", 5000),
        ("duration_s", 60),
    ]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{}", [1, 2, 4]),
        ("{pytorch.batch_size: 2}", [2]),
        ("{transformers.batch_size: [1, 4]}", [1, 4]),
        ("{pytorch.batch_size: 2.0}", [2]),
        ("{model: tiny, backend: pytorch}", [1, 2, 4]),
        ("{model.id: tiny, pytorch.num_beams: null}", [1, 2, 4]),
        ("{dataset.n: 8}", [1, 2, 4]),
        ("{pytorch.temperature: 0.5}", [1, 2, 4]),
    ],
)
def test_conditions_select_by_what_is_written_or_runs(load: Load, when: str, expected: list[int]) -> None:
    study = load(
        f"""\
        pytorch: {{temperature: 0.5}}
        sweep: {{pytorch.batch_size: [1, 2, 4]}}
        budgets: [{{metric: energy_j, max: 1, when: {when}}}]
    """
    )
    assert [cell.swept["pytorch.batch_size"] for cell in study.cells if cell.budgets] == expected


def test_a_default_section_can_be_a_condition(load: Load) -> None:
    study = load("backend: [pytorch, vllm]\nbudgets: [{metric: energy_j, max: 1, when: {pytorch.batch_size: 1}}]")
    assert [cell.config.backend for cell in study.cells if cell.budgets] == ["pytorch"]
