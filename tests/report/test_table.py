"""The summary table: aligned, honest about what is estimated or invalid, no wider than asked for."""

from __future__ import annotations

from pytest_llem.report.table import layout, row

FIGURES = {
    "energy_per_output_token_j": 0.065,
    "energy_per_output_token_j_low": 0.0645,
    "energy_per_output_token_j_high": 0.0655,
    "output_tokens_per_s": 10182.0,
    "mean_power_w": 662.0,
    "measured": True,
    "valid": True,
}


def test_a_row_shows_energy_interval_rate_and_power():
    header, [(text, verdict, style)] = layout([row("vllm-bs64", FIGURES, "passed")], 120)
    assert text.split() == ["vllm-bs64", "65.0", "mJ", "64.5", "…", "65.5", "mJ", "10,182", "662"]
    assert (verdict, style) == ("passed", "green")
    assert header.index("verdict") == len(text)


def test_an_estimate_and_an_invalid_result_say_so():
    estimated = row("a", {**FIGURES, "measured": False}, "passed")
    invalid = row("b", {**FIGURES, "valid": False, "reasons": "counter_reset"}, "passed")
    assert estimated.cells[-1] == "passed (ESTIMATED)"
    assert invalid.cells[-1] == "passed (INVALID: counter_reset)"
    assert invalid.style == "yellow"


def test_what_was_not_measured_is_not_shown_as_zero():
    assert row("a", {}, "failed").cells == ("a", "–", "–", "–", "–", "FAILED")


def test_long_names_are_cut_in_the_middle_to_fit():
    names = [f"pytorch-bs{n}-a-very-long-name-for-an-experiment-out{n}" for n in (1, 64)]
    _, lines = layout([row(name, FIGURES, "over_budget") for name in names], 76)
    assert all(len(text) + len(verdict) <= 76 for text, verdict, _ in lines)
    assert "…" in lines[0][0].split("  ")[0]
    assert lines[1][0].split("  ")[0].endswith("out64")
