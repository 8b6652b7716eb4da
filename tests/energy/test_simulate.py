"""The simulated meter does what it says, seen from outside."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llem.energy.simulate import SimulatedMeter, pulse, simulate, staircase

QUIET = SimulatedMeter(late_s=0.0, counter_noise_j=0.0, power_noise_w=0.0)


def test_the_counter_steps_on_its_grid_and_in_whole_mj() -> None:
    trace = simulate(pulse(10.0, 10.5, 500.0), 10.0, 10.5, meter=QUIET)
    changed = np.flatnonzero(np.diff(trace.energy[:, 2]))
    grid = np.round((trace.energy[changed + 1, 0] - QUIET.phase_s) / 0.1 - 0.05) * 0.1 + QUIET.phase_s
    assert np.all(trace.energy[changed, 0] <= grid + 0.1)
    assert np.all(np.diff(grid) == pytest.approx(0.1))
    assert trace.energy[:, 2] * 1000 == pytest.approx(np.round(trace.energy[:, 2] * 1000), abs=1e-6)


def test_far_from_the_edges_the_counter_holds_the_true_energy() -> None:
    trace = simulate(pulse(10.0, 10.5, 500.0, idle_w=100.0), 10.0, 10.5, meter=QUIET, before_s=1.0, after_s=1.0)
    rise = trace.energy[-1, 2] - trace.energy[0, 2]
    steps = round(rise / 10 - (500 - 100) * 0.5 / 10)
    assert rise == pytest.approx(steps * 10 + (500 - 100) * 0.5, abs=0.01)


def test_the_lag_delays_what_the_counter_sees() -> None:
    def well_inside(lag: float) -> float:
        trace = simulate(pulse(10.0, 11.0, 500.0), 10.0, 11.0, meter=SimulatedMeter(period_s=0.0, lag_s=lag))
        return float(np.interp(10.9, trace.energy[:, 0], trace.energy[:, 2]) - trace.energy[0, 2])

    assert well_inside(0.0) - well_inside(0.02) == pytest.approx(0.02 * (500 - 126), rel=0.02)


def test_the_same_seed_gives_the_same_trace() -> None:
    power = staircase([10.0, 10.2, 10.5], [700.0, 400.0, 126.0])
    a, b, c = (simulate(power, 10.0, 10.5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.energy, b.energy)
    assert not np.array_equal(a.energy, c.energy)
