"""Every reason code means something, and those that only warn do not invalidate."""

from __future__ import annotations

from pytest_llem.energy.estimators import estimate
from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate
from pytest_llem.energy.validity import FATAL, FLAGS, REASONS


def test_fatal_and_warning_codes_are_all_codes() -> None:
    assert set(REASONS) == FATAL | FLAGS
    assert not FATAL & FLAGS


def test_a_warning_leaves_the_energy() -> None:
    result = estimate(simulate(pulse(10.0, 10.02, 150.0), 10.0, 10.02))
    assert set(result.reasons) & FLAGS
    assert result.valid
    assert result.energy_j is not None


def test_a_meter_without_a_power_field_is_no_error() -> None:
    result = estimate(simulate(pulse(10.0, 10.6, 500.0), 10.0, 10.6, meter=SimulatedMeter(has_power=False)))
    assert result.valid
    assert result.cross_check is None
