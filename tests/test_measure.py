"""``llem_measure`` in a test of its own pytest."""

from __future__ import annotations

from tests.conftest import Studies


def test_any_code_is_measured_and_can_be_printed(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        import pytest

        def test_block(llem_measure):
            with llem_measure("sum") as energy:
                sum(range(3_000_000))
            low, high = energy.energy_j_ci95
            assert low <= energy.energy_j <= high
            assert (energy.energy_source, energy.measured) == ("cpu_estimate", False)
            assert energy.traces[0].marks[0].label == "sum"
            assert len(repr(energy)) < 400, "samples are no answer"

        def test_what_raises(llem_measure):
            with pytest.raises(ValueError, match="mine"), llem_measure() as energy:
                raise ValueError("mine")
            assert energy.energy_j is None
        """
    )
    studies.run().assert_outcomes(passed=2)


def test_an_estimate_is_refused_where_measuring_is_required(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        def test_block(llem_measure):
            with llem_measure():
                pass
        """
    )
    result = studies.run("--llem-require-measured")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the energy would be an estimate (cpu_estimate)*"])


def test_every_block_knows_the_grid_of_its_counter(studies: Studies, two_gpus: None) -> None:
    """The first sees it while it waits, if the machine is not too busy; each other one shares it with those before."""
    studies.pytester.makepyfile(
        """
        import time

        def test_blocks(llem_measure):
            waits = []
            for _ in range(3):
                begin = time.monotonic()
                with llem_measure() as energy:
                    waits.append(time.monotonic() - begin)
                    time.sleep(0.5)
                assert energy.valid, energy.reasons
                assert len(energy.traces) == 2
            for trace in energy.traces:
                assert abs(float(trace.extra["counter_period_s"]) - 0.1) < 1e-3
            assert waits[1] < waits[0] - 0.3
        """
    )
    studies.run("--llem-meter=nvml").assert_outcomes(passed=1)


def test_one_measurement_inside_another_is_refused_at_once(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        def test_blocks(llem_measure):
            with llem_measure("outer"), llem_measure("inner"):
                pass

        def test_experiment(llem_measure, llem):
            with llem_measure():
                llem.run(model="none", backend="instant", measure={"warmup": 0, "repeats": 1, "min_window_s": 0.01})
        """
    )
    result = studies.run(timeout=60)
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("LlemError: this test holds the device already: host") >= 2
    result.stdout.fnmatch_lines(["*hint: one measurement cannot lie inside another*"])


def test_what_a_test_with_a_gpu_measures_is_measured_on_that(studies: Studies, two_gpus: None) -> None:
    studies.pytester.makepyfile(
        """
        import time

        def run(llem):
            return llem.run(model="none", backend="instant", measure={"warmup": 0, "repeats": 1, "min_window_s": 0.3})

        def test_one(llem_gpu, llem_measure, llem):
            with llem_measure() as energy:
                time.sleep(0.5)
            assert [trace.extra["uuid"] for trace in energy.traces] == [llem_gpu.uuid]
            assert [device.uuid for device in run(llem).devices] == [llem_gpu.uuid]

        def test_all(llem_measure, llem):
            with llem_measure() as energy:
                time.sleep(0.5)
            assert len(energy.traces) == 2
        """
    )
    studies.run("--llem-meter=nvml", "--llem-isolation=engine", timeout=60).assert_outcomes(passed=2)
