"""Tables for pull requests: what they say, and that nothing in them breaks the table."""

from __future__ import annotations

from pytest_llem.report.markdown import MOST_ROWS, comparison_markdown, results_markdown
from pytest_llem.results.comparison import Comparison, Report
from pytest_llem.results.model import Verdict
from tests.results.samples import make_result

METRIC = "energy_per_output_token_j"


def comparison(**changes: object) -> Comparison:
    fields: dict[str, object] = {
        "label": "s[bs1]", "config_hash": "0", "metric": METRIC, "verdict": "pass", "tolerance": 0.02,
        "now": 0.1, "before": 0.1, "cycles_now": 5, "cycles_before": 5, "ratio": 1.0,
        "interval": (0.99, 1.01), **changes,
    }  # fmt: skip
    return Comparison(**fields)  # type: ignore[arg-type]  # the fields are checked by what the tests expect


DEARER = comparison(label="s[bs4]", verdict="fail", now=0.11, ratio=1.1, interval=(1.08, 1.12))
UNSURE = comparison(
    label="s[bs8]", verdict="inconclusive", ratio=1.01, interval=(0.95, 1.07), reason="too few", smallest_change=0.123
)


def test_worst_first_with_notes() -> None:
    text = comparison_markdown(
        Report((comparison(), UNSURE, DEARER), notes=("torch 1 -> 2",), new=("s[a]",), gone=("s[b]",))
    )
    assert text.startswith("### Energy against the baseline: ❌ fail\n")
    assert "1 dearer, 1 undecided, 1 within the tolerance." in text
    rows = [line for line in text.splitlines() if line.startswith("| s")]
    assert [row.split(" | ")[0] for row in rows] == ["| s\\[bs4\\]", "| s\\[bs8\\]", "| s\\[bs1\\]"]
    assert rows[0].endswith("| 100 mJ | 110 mJ | ↑ +10.0 % (+8.0 … +12.0) | ❌ fail (±2 %) |")
    assert "5 cycles against 5 could have found a rise of 12.3 %" in text
    assert "- changed since the baseline: torch 1 -> 2" in text
    assert "- not in the baseline: s\\[a\\]" in text
    assert "- in the baseline, but not run: s\\[b\\]" in text


def test_nothing_compared() -> None:
    text = comparison_markdown(Report(()))
    assert "not sure" in text
    assert "Nothing could be compared." in text
    assert "| ---" not in text


def test_refused_is_not_a_verdict() -> None:
    refused = comparison(
        verdict="inconclusive", refused=True, ratio=None, interval=None, now=None, before=None, reason="another GPU"
    )
    assert "❔ not compared" in comparison_markdown(Report((refused,)))


def test_text_cannot_break_the_table() -> None:
    odd = comparison(label="a|b\n| <img src=x> `c` [d](e)", notes=("x | y",))
    text = comparison_markdown(Report((odd,)))
    (row,) = [line for line in text.splitlines() if line.startswith("| a")]
    assert row.replace("\\|", "").count("|") == 7
    assert "<img" not in text
    assert "[d]" not in text


def test_a_large_study_still_fits_a_comment() -> None:
    many = [comparison(label=f"{i:0100d}", verdict="inconclusive", reason="r" * 60) for i in range(2000)]
    text = comparison_markdown(Report(tuple(many)))
    assert f"and {2000 - MOST_ROWS} more" in text
    assert len(text) < 65_536


def test_results() -> None:
    broken = Verdict(metric=METRIC, max=0.05, value=0.1, outcome="fail")
    text = results_markdown(
        [make_result(verdicts=(broken,)), make_result(measured=False, energy_source="cpu_estimate")]
    )
    rows = [line for line in text.splitlines() if line.startswith("| study")]
    assert rows[0] == "| study\\[pytorch-bs1\\] | 100 mJ | 99.0 … 101 mJ | 50 | 5 | ❌ fail |"
    assert rows[1].endswith("| (ESTIMATED) |")
    invalid = results_markdown([make_result(valid=False, reasons=("gpu_shared",), energy_per_output_token_j=None)])
    assert "(INVALID: gpu\\_shared)" in invalid
