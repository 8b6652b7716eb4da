"""Why a figure is null: what is said is what is so."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llem.runners.quality import missing

MEASURED = {"energy_j": 9.0, "idle_power_w": 80.0, "flops": 1e12, "mfu": 0.1, "devices": ()}
NO_SIZE = "the model's size is not known"
NO_DEVICE = "the bandwidth and peak of this device are not known"


def why(**changes: Any) -> dict[str, str]:
    return missing({**MEASURED, **changes}, ["missing_ticks", "no_bracket"])


@pytest.mark.parametrize("known", [{}, {"flops": None, "mfu": None}, {"mfu": None}, {"idle_power_w": None}])
def test_without_energy_that_is_the_reason(known: dict[str, None]) -> None:
    found = why(energy_j=None, **known)
    for figure in ("energy_j", "energy_above_idle_j", "energy_optimality", "prefill_energy_j", "decode_energy_j"):
        assert found[figure] == "the windows could not be evaluated: missing_ticks, no_bracket"
    assert found["ttft_s"] == "the backend did not time first tokens"


@pytest.mark.parametrize(
    ("lacking", "optimality"),
    [
        ({}, "the size of the model's weights or cache is not known, or tokens were drafted"),
        ({"flops": None, "mfu": None}, NO_SIZE),
        ({"mfu": None}, NO_DEVICE),
        ({"idle_power_w": None}, "idle power is unknown"),
    ],
)
def test_with_energy_it_is_what_lacks_beside_it(lacking: dict[str, None], optimality: str) -> None:
    found = why(**lacking)
    assert "energy_j" not in found
    assert found["energy_optimality"] == optimality
    assert found["energy_above_idle_j"] == "idle power is unknown"
    assert found["prefill_energy_j"].startswith("the backend did not mark prefill")
    assert found.get("flops") == (NO_SIZE if "flops" in lacking else None)
    assert ("mfu" in found) == ("mfu" in lacking)
    assert (found.get("mfu") == NO_SIZE) == ("flops" in lacking)
