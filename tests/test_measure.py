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
