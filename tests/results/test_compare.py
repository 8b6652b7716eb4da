"""Verdicts of a run against a baseline, and everything that keeps a verdict from being believed."""

from __future__ import annotations

import time

import pytest

from pytest_llem.errors import ResultError
from pytest_llem.results.baseline import Baseline, make_baseline
from pytest_llem.results.compare import compare
from pytest_llem.results.comparison import Comparison, Gate, Report
from pytest_llem.results.noise import BoardNoise, learn
from pytest_llem.results.rules import Rule
from pytest_llem.results.sequential import Plan
from tests.results.runs import cycles, device, noisy, run, window

METRIC = "energy_per_output_token_j"
GATE = Gate((Rule(METRIC, 0.02),))


def one(now: Baseline, before: Baseline, gate: Gate = GATE) -> Comparison:
    (found,) = compare(now, before, gate).comparisons
    return found


def test_same_passes() -> None:
    found = one(run(noisy(1.0, seed=1)), run(noisy(1.0, seed=2)))
    assert (found.verdict, found.reason) == ("pass", None)
    assert found.ratio == pytest.approx(1.0)
    assert found.interval is not None
    assert found.interval[0] < 1 < found.interval[1] < 1.02
    assert found.confidence == 0.98
    assert (found.now, found.before) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.cycles_needed is None


def test_dearer_fails() -> None:
    found = one(run(noisy(1.1, seed=1)), run(noisy(1.0, seed=2)))
    assert found.verdict == "fail"
    assert found.ratio == pytest.approx(1.1)
    assert (found.p_value, found.test) == (pytest.approx(1 / 252), "permutation")


def test_cheaper_passes() -> None:
    assert one(run(noisy(0.8, seed=1)), run(noisy(1.0, seed=2))).verdict == "pass"


def test_dearer_within_the_tolerance_passes() -> None:
    found = one(run(noisy(1.005, noise=1e-4, seed=1)), run(noisy(1.0, noise=1e-4, seed=2)))
    assert found.verdict == "pass"
    assert found.p_value == pytest.approx(1 / 252)


def test_too_noisy_is_inconclusive_and_says_what_would_help() -> None:
    found = one(run(noisy(1.0, noise=0.03, seed=1)), run(noisy(1.0, noise=0.03, seed=2)))
    assert found.verdict == "inconclusive"
    assert found.smallest_change is not None
    assert 0.06 < found.smallest_change < 0.14
    assert found.cycles_needed_both is not None
    assert found.cycles_needed_both > 5
    assert found.reason is not None
    assert f"about {found.cycles_needed_both} cycles, here and in the baseline, would decide" in found.reason


def test_less_is_worse_for_throughput() -> None:
    gate = Gate((Rule("output_tokens_per_s", 0.02),))
    fast = make_baseline(
        [r.model_copy(update={"output_tokens_per_s": v}) for r, v in zip(cycles([1.0] * 5), noisy(100.0), strict=True)]
    )
    slow = make_baseline(
        [
            r.model_copy(update={"output_tokens_per_s": v})
            for r, v in zip(cycles([1.0] * 5), noisy(90.0, seed=1), strict=True)
        ]
    )
    found = one(slow, fast, gate)
    assert found.verdict == "fail"
    assert found.ratio == pytest.approx(0.9)
    assert found.interval is not None
    assert found.interval[0] < 0.9 < found.interval[1] < 0.98
    assert found.tolerance == pytest.approx(0.02)
    assert one(fast, slow, gate).verdict == "pass"


def test_three_cycles_use_welch_as_the_permutation_test_cannot_reach_the_level() -> None:
    found = one(run(noisy(1.1, 3, seed=1)), run(noisy(1.0, 3, seed=2)))
    assert (found.verdict, found.test) == ("fail", "welch")


def test_one_cycle_is_not_enough() -> None:
    found = one(run([1.0]), run(noisy(1.0)))
    assert found.verdict == "inconclusive"
    assert found.reason is not None
    assert "one valid cycle" in found.reason


def test_one_cycle_is_judged_by_a_known_noise_floor() -> None:
    noise = learn(BoardNoise(board="GPU-1"), run(noisy(1.0, 12)), repeats=False)
    (found,) = compare(run([1.1]), run(noisy(1.0)), GATE, {"GPU-1": noise}).comparisons
    assert found.verdict == "fail"


def test_among_many_a_lone_small_p_value_is_not_enough() -> None:
    names = [f"pytorch-bs{i}" for i in range(200)]

    def study(first: float, seed: int) -> Baseline:
        values = [noisy(first if i == 0 else 1.0, noise=0.012, seed=seed + i) for i in range(200)]
        return make_baseline([r for name, v in zip(names, values, strict=True) for r in cycles(v, name)])

    alone = one(run(noisy(1.05, noise=0.012, seed=0), names[0]), run(noisy(1.0, noise=0.012, seed=1000), names[0]))
    among = next(
        c for c in compare(study(1.05, 0), study(1.0, 1000), GATE).comparisons if c.label == "study[pytorch-bs0]"
    )
    assert alone.verdict == "fail"
    assert among.verdict == "inconclusive"
    assert among.interval == pytest.approx(alone.interval)
    assert among.reason is not None
    assert "not significant among 200" in among.reason


def test_others_judged_elsewhere_count_as_well() -> None:
    now, before = run(noisy(1.05, noise=0.012, seed=0)), run(noisy(1.0, noise=0.012, seed=1000))
    assert one(now, before).verdict == "fail"
    assert one(now, before, Gate(GATE.rules, others=199)).verdict == "inconclusive"


def test_plan_gives_each_look_its_portion() -> None:
    gate = Gate(GATE.rules, plan=Plan(12))
    found = one(run(noisy(1.0, 5, seed=1)), run(noisy(1.0, 12, seed=2)), gate)
    assert found.confidence == pytest.approx(1 - 2 * 0.01 * 2 / 12)
    wide, narrow = found.interval, one(run(noisy(1.0, 5, seed=1)), run(noisy(1.0, 12, seed=2))).interval
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def reason(found: Comparison) -> str:
    assert found.verdict == "inconclusive"
    assert found.reason is not None
    return found.reason


def test_another_gpu_model_is_refused() -> None:
    found = one(run(noisy(1.0)), run(noisy(1.0), devices=(device("GPU-2", "NVIDIA H100"),)))
    assert found.refused
    assert "the baseline is from NVIDIA H100, this is NVIDIA H200" in reason(found)


def test_another_board_widens_the_tolerance() -> None:
    now, before = run(noisy(1.05, seed=1)), run(noisy(1.0), devices=(device("GPU-2"),))
    found = one(now, before)
    assert found.verdict == "pass"
    assert found.tolerance == pytest.approx(1.02 * 1.15 - 1)
    assert "not measured: taken as 15.0 %" in found.notes[0]
    assert one(now, before, Gate(GATE.rules, other_board="refuse")).refused
    assert one(run(noisy(1.05, seed=1)), run(noisy(1.0))).verdict == "fail"


def test_another_board_whose_difference_was_measured() -> None:
    def board(uuid: str, mean: float) -> BoardNoise:
        return learn(BoardNoise(board=uuid), run(noisy(mean), devices=(device(uuid),)), repeats=True)

    noise = {"GPU-1": board("GPU-1", 1.01), "GPU-2": board("GPU-2", 1.0)}
    now, before = run(noisy(1.05, seed=1)), run(noisy(1.0), devices=(device("GPU-2"),))
    (found,) = compare(now, before, GATE, noise).comparisons
    assert found.verdict == "fail"
    assert found.tolerance == pytest.approx(1.02 * 1.01 - 1, rel=1e-3)
    assert "measured as 1.0 %" in found.notes[0]


def test_estimates_and_measurements_do_not_mix() -> None:
    estimated = run(noisy(1.0, seed=1), measured=False, energy_source="cpu_estimate")
    assert "one side is measured" in reason(one(estimated, run(noisy(1.0))))


def test_an_estimate_never_passes() -> None:
    estimated = [run(noisy(1.0, seed=seed), measured=False, energy_source="cpu_estimate") for seed in (1, 2)]
    found = one(*estimated)
    assert "an estimate cannot show" in reason(found)
    assert "ESTIMATED (cpu_estimate)" in found.notes
    throughput = one(*estimated, Gate((Rule("output_tokens_per_s", 0.02),)))
    assert throughput.verdict == "pass"


def test_another_method_is_refused() -> None:
    assert "in another way" in reason(one(run(noisy(1.0), method="power_integral"), run(noisy(1.0))))


def test_at_the_power_limit_a_load_that_became_slower_is_found_in_longer_windows() -> None:
    limited = {"reasons": ("power_not_settled",)}
    before, now = (run(noisy(j), repeats=(window(s),), **limited) for j, s in ((1.0, 2.1), (1.25, 2.6)))
    assert one(now, before).verdict == "fail"


def test_at_the_power_limit_only_windows_of_one_length_compare() -> None:
    limited = {"reasons": ("power_not_settled",)}
    short, long = (run(noisy(1.0), repeats=(window(s),), **limited) for s in (0.15, 1.2))
    assert "0.15 s in the baseline, 1.2 s now" in reason(one(long, short))
    assert one(short, short).verdict == "pass"
    assert one(run(noisy(1.0), repeats=(window(0.15),)), run(noisy(1.0))).verdict == "pass"


def test_invalid_cycles_are_left_out_and_named() -> None:
    bad = [
        r.model_copy(update={"cell_id": f"pytorch-bs1-c{i}", "cycle": i})
        for i, r in enumerate(cycles([9.0], valid=False, reasons=("gpu_shared",)), 6)
    ]
    found = one(make_baseline([*cycles(noisy(1.0, seed=1)), *bad]), run(noisy(1.0)))
    assert found.verdict == "pass"
    assert found.cycles_now == 5
    assert "1 of 6 cycles of this run are invalid and left out (gpu_shared)" in found.notes
    assert "no valid figure" in reason(one(run(noisy(1.0), valid=False), run(noisy(1.0))))


def test_cheaper_tokens_that_are_different_tokens() -> None:
    found = one(run(noisy(0.8, seed=1), output_hash="c" * 64), run(noisy(1.0)))
    assert found.other_output
    assert "cheaper tokens that are different tokens" in found.notes[-1]
    same = one(run(noisy(0.8, seed=1)), run(noisy(1.0)))
    assert not same.other_output


def test_new_gone_and_changed() -> None:
    now = make_baseline(
        [*cycles(noisy(1.0), versions={"torch": "2.13"}), *cycles([1.0], "pytorch-bs2", versions={"torch": "2.13"})]
    )
    before = make_baseline(
        [*cycles(noisy(1.0), versions={"torch": "2.12"}), *cycles([1.0], "vllm-bs2", versions={"torch": "2.12"})]
    )
    found = compare(now, before, GATE)
    assert (found.new, found.gone) == (("study[pytorch-bs2]",), ("study[vllm-bs2]",))
    assert found.notes == ("torch 2.12 -> 2.13",)
    assert found.outcome == "pass"


def test_unnamed_change_of_the_environment() -> None:
    found = compare(run(noisy(1.0), environment_hash="1"), run(noisy(1.0), environment_hash="2"), GATE)
    assert found.notes == ("the environment differs in something that the baseline does not name",)


def test_nothing_in_common_is_not_a_pass() -> None:
    assert compare(run(noisy(1.0), "a"), run(noisy(1.0), "b"), GATE).outcome == "inconclusive"
    assert Report(()).outcome == "inconclusive"


def test_a_figure_that_the_baseline_does_not_have() -> None:
    with pytest.raises(ResultError, match=r"no valid figure ttft_s\.p95"):
        compare(run(noisy(1.0)), run(noisy(1.0)), Gate((Rule("ttft_s.p95", 0.05),)))


def test_a_thousand_cells_are_judged_fast() -> None:
    def study(seed: int) -> Baseline:
        return make_baseline([r for i in range(1000) for r in cycles(noisy(1.0, noise=0.02, seed=seed + i), f"bs{i}")])

    now, before = study(0), study(5000)
    start = time.process_time()
    assert len(compare(now, before, GATE).comparisons) == 1000
    assert time.process_time() - start < 5


def test_cycles_dealt_over_two_boards_are_no_other_model_but_experiments_on_two_boards_are() -> None:
    values = noisy(1.0)
    dealt = make_baseline([*cycles(values[:3]), *cycles(values[3:], devices=(device("GPU-2"),))])
    found = one(dealt, run(values))
    assert (found.refused, found.verdict) == (False, "pass")
    assert "another board of the same model" in found.notes[0]
    both = run(values, devices=(device(), device("GPU-2")))
    assert one(both, dealt).reason == "another number of GPUs: 1 in the baseline, 2 now"


def test_a_cycle_whose_energy_was_found_in_another_way_is_seen_wherever_it_stands() -> None:
    values = noisy(1.0)
    mixed = make_baseline([*cycles(values[:4]), *cycles(values[4:], method="power_integral")])
    assert "power_integral" in (one(mixed, run(values)).reason or "")


def test_many_configurations_with_few_noisy_cycles_are_undecided() -> None:
    """Their smallest change that could be seen is more than a float holds."""
    now, before = (
        make_baseline([r for i in range(400) for r in cycles(noisy(1.0, 2, 0.05, seed=seed + i), f"x{i}")])
        for seed in (0, 1000)
    )
    found = compare(now, before, GATE).comparisons
    assert {row.verdict for row in found} == {"inconclusive"}
    assert all(row.smallest_change is not None and row.smallest_change > 10 for row in found)
