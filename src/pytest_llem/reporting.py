"""What an item makes of its result: pass, fail or skip, and flat properties for the rest of pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llem.errors import LlemError
from pytest_llem.options import options_of
from pytest_llem.report.words import WORST_FIRST, judged
from pytest_llem.results.model import ExperimentResult

PREFIX = "llem."
_FIGURES = (
    "energy_j",
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "mean_power_w",
    "idle_power_w",
    "prefill_energy_j",
    "decode_energy_j",
    "output_tokens",
    "output_tokens_per_s",
    "duration_s",
    "peak_memory_bytes",
)


class LlemWarning(pytest.PytestWarning):
    """Something about an experiment that a user should know."""


class OverBudget(Exception):
    """A budget is broken (or undecided, where that counts as a failure). Carries the result."""

    def __init__(self, result: ExperimentResult) -> None:
        self.result = result
        super().__init__(verdict_table(result))


def verdict_table(result: ExperimentResult) -> str:
    """One line for each budget of a result, the worst first: of a failure, pytest's short summary shows one line."""
    estimated = "" if result.measured else f"  (ESTIMATED: {result.energy_source})"
    words = {"pass": "pass", "fail": "FAIL", "inconclusive": "undecided"}
    verdicts = sorted(result.verdicts, key=lambda verdict: WORST_FIRST.index(verdict.outcome))
    lines = [f"{words[verdict.outcome]:9}  {judged(verdict)}" for verdict in verdicts]
    return "\n".join([*lines, f"{result.study}[{result.cell_id}]{estimated}"])


def overall(result: ExperimentResult) -> str:
    """passed, over_budget or inconclusive."""
    outcomes = {verdict.outcome for verdict in result.verdicts}
    return "over_budget" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "passed"


def flat_figures(result: ExperimentResult, path: Path) -> dict[str, str | int | float | bool]:
    """The scalars that travel from an xdist worker to its controller and into JUnit; nulls are left out."""
    flat: dict[str, str | int | float | bool] = {
        "cell": f"{result.study}[{result.cell_id}]",
        "verdict": overall(result),
        "result": str(path),
        "config_hash": result.config_hash,
        "device": result.devices[0].name if result.devices else result.model_device,
        "energy_source": result.energy_source,
        "measured": result.measured,
        "valid": result.validity.valid,
        "reasons": ", ".join(result.validity.reasons),
    }
    for name in _FIGURES:
        value, ends = result.figure(name)
        if value is not None:
            flat[name] = value
        if ends is not None:
            flat[f"{name}_low"], flat[f"{name}_high"] = ends
    return flat


def set_properties(item: pytest.Item, values: dict[str, str | int | float | bool]) -> None:
    """Put ``values`` on the item, in place of what an earlier try of the same item left there."""
    item.user_properties[:] = [(key, value) for key, value in item.user_properties if not key.startswith(PREFIX)]
    item.user_properties.extend((PREFIX + key, value) for key, value in values.items())


def conclude(item: pytest.Item, result: ExperimentResult) -> None:
    """Pass, fail or skip the item as the verdicts and the options say; the result is kept whatever happens here."""
    options = options_of(item.config)
    if options.require_measured and not result.measured:
        raise LlemError(
            f"the energy is an estimate ({result.energy_source}), and --llem-require-measured is set",
            hint="llem doctor tells which meters this machine has",
        )
    outcomes = {verdict.outcome for verdict in result.verdicts}
    if "fail" in outcomes or ("inconclusive" in outcomes and options.inconclusive == "fail"):
        raise OverBudget(result)
    if "inconclusive" in outcomes:
        undecided = [judged(verdict) for verdict in result.verdicts if verdict.outcome == "inconclusive"]
        text = f"{result.study}[{result.cell_id}]: inconclusive: {'; '.join(undecided)}"
        if options.inconclusive == "skip":
            pytest.skip(text)
        item.warn(LlemWarning(text))
