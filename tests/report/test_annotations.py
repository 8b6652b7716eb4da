"""GitHub's workflow commands."""

from __future__ import annotations

from pytest_llem.report.annotations import MOST, budget_annotations, comparison_annotations
from pytest_llem.results.comparison import Report
from pytest_llem.results.model import Verdict
from tests.report.test_markdown import DEARER, UNSURE, comparison
from tests.results.samples import make_result


def test_levels() -> None:
    other = comparison(other_output=True, notes=("different tokens",))
    lines = comparison_annotations(Report((comparison(), other, UNSURE, DEARER)))
    assert [line.split()[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert lines[0] == (
        "::error title=s[bs4] got dearer::energy_per_output_token_j ↑ +10.0 %25 (+8.0 … +12.0), tolerance 2 %25"
    )


def test_place_and_escapes() -> None:
    odd = comparison(
        label="a,b:c%", config_hash="7", verdict="fail", ratio=1.1, interval=(1.1, 1.1), notes=("two\nlines\r",)
    )
    (line,) = comparison_annotations(Report((odd,)), {"7": ("studies/a,b.yaml", 12)})
    assert line.startswith("::error file=studies/a%2Cb.yaml,line=12,title=a%2Cb%3Ac%25 got dearer::")
    assert line.endswith("; two%0Alines%0D")
    assert "\n" not in line


def test_budgets() -> None:
    verdicts = (
        Verdict(metric="energy_j", max=1.0, value=2.0, outcome="fail"),
        Verdict(metric="output_tokens_per_s", min=50.0, value=None, outcome="inconclusive", reason="not measured"),
        Verdict(metric="energy_j", max=3.0, value=2.0, outcome="pass"),
    )
    result = make_result(verdicts=verdicts)
    error, warning = budget_annotations([result], {result.config_hash: ("s.yaml", 3)})
    assert error == (
        "::error file=s.yaml,line=3,title=study[pytorch-bs1] is over budget::energy_j <= 1.00 J, found 2.00 J"
    )
    assert warning == (
        "::warning file=s.yaml,line=3,title=study[pytorch-bs1] may be over budget::"
        "output_tokens_per_s >= 50.0/s, found –: not measured"
    )


def test_github_shows_ten_of_each() -> None:
    lines = comparison_annotations(Report((DEARER,) * 25 + (UNSURE,)))
    assert len([line for line in lines if line.startswith("::error")]) == MOST
    assert "and 16 more" in lines[MOST - 1]
    assert lines[-1].startswith("::warning")
