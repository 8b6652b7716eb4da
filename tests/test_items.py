"""Study files as pytest sees them: names, selection, outcomes, exit codes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.conftest import FAST, Studies

FOUR = f"""\
llem: 1
name: batching
model: none
backend: instant
{FAST}
sweep:
  dataset.n: [1, 4]
  max_output_tokens: [16, 32]
"""


def test_cells_are_named_by_what_is_swept(studies: Studies):
    studies.write(FOUR)
    result = studies.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "study.yaml::batching[[]instant-n1-out16[]]",
            "study.yaml::batching[[]instant-n1-out32[]]",
            "study.yaml::batching[[]instant-n4-out16[]]",
            "study.yaml::batching[[]instant-n4-out32[]]",
        ]
    )
    assert not studies.runs(), "collecting alone must leave no trace on disk"


def test_all_pass_with_a_result_each_and_a_table(studies: Studies):
    studies.write(FOUR)
    result = studies.run()
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*energy: batching*", "experiment*J/token*verdict", "instant-n1-out16 *passed (ESTIMATED)"]
    )
    assert set(studies.statuses().values()) == {"passed"}
    results = studies.results()
    assert results["instant-n4-out32"]["output_tokens"] % (4 * 32) == 0
    assert "estimated_energy" in results["instant-n4-out32"]["validity"]["reasons"]
    assert all(not result["measured"] for result in results.values())


def test_a_budget_of_nothing_fails_its_cell_only(studies: Studies):
    studies.write(FOUR + "budgets: [{metric: e2el_s, max: 0.0, when: {dataset.n: 4}}]\n")
    result = studies.run()
    result.assert_outcomes(passed=2, failed=2)
    assert result.ret == 1
    if pytest.version_tuple >= (9,):  # the short summary says which; pytest 8 leaves out reasons without a traceback
        result.stdout.fnmatch_lines(["OVER BUDGET study.yaml::*- FAIL *e2el_s <= 0 s*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert studies.statuses() == {
        "instant-n1-out16": "passed",
        "instant-n1-out32": "passed",
        "instant-n4-out16": "over_budget",
        "instant-n4-out32": "over_budget",
    }


def test_over_budget_is_a_status_of_its_own(studies: Studies):
    studies.write(FOUR)
    result = studies.run("-v", "--llem-budget", "e2el_s<=0", "-k", "n1-out16")
    result.stdout.fnmatch_lines(["*batching[[]instant-n1-out16[]] OVER BUDGET*"])


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("-k", "out16"), 2),
        (("-k", "n4 and out32"), 1),
        (("-m", "llem(backend='instant')"), 4),
        (("-m", "llem(max_output_tokens=32)"), 2),
        (("-m", "not llem"), 0),
    ],
)
def test_selection(studies: Studies, arguments, count):
    studies.write(FOUR)
    result = studies.run("--collect-only", "-q", *arguments)
    assert sum("::" in line for line in result.outlines) == count


def test_last_failed_and_stop_at_first_failure(studies: Studies):
    studies.write(FOUR + "budgets: [{metric: e2el_s, max: 0.0, when: {max_output_tokens: 32}}]\n")
    first = studies.run("-x", "-o", "cache_dir=.cache")
    first.assert_outcomes(passed=1, failed=1)
    again = studies.run("--lf", "-o", "cache_dir=.cache")
    again.assert_outcomes(failed=1)
    newest = max(studies.runs(), key=lambda folder: folder.stat().st_mtime)
    assert [path.name for path in newest.glob("*/result.json")] == ["result.json"]


def test_junit_carries_flat_figures(studies: Studies):
    studies.write(FOUR)
    studies.run("--junitxml=out.xml", "-k", "n1-out16")
    text = (studies.pytester.path / "out.xml").read_text()
    assert text.count('name="llem.energy_per_output_token_j"') == 1
    assert 'name="llem.output_tokens_per_s"' in text


def test_xdist_gives_the_same_cells_and_one_manifest(studies: Studies):
    studies.write(FOUR + "budgets: [{metric: e2el_s, max: 0.0, when: {dataset.n: 4}}]\n")
    result = studies.run("-n", "2")
    result.assert_outcomes(passed=2, failed=2)
    assert result.ret == 1
    assert len(studies.runs()) == 1
    assert studies.statuses() == {
        "instant-n1-out16": "passed",
        "instant-n1-out32": "passed",
        "instant-n4-out16": "over_budget",
        "instant-n4-out32": "over_budget",
    }
    result.stdout.fnmatch_lines(["*energy: batching*", "experiment*J/token*verdict"])
    results = studies.results()
    assert len(results) == 4
    spans = sorted((r["repeats"][0]["start"], r["repeats"][-1]["end"]) for r in results.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), "the estimate is per host"


def test_only_and_skip(studies: Studies):
    studies.write(FOUR)
    studies.pytester.makepyfile(test_plain="def test_plain(): pass", test_broken="import nothing_like_this")
    only = studies.run("--llem-only", "--collect-only", "-q")
    assert sum("::" in line for line in only.outlines) == 4
    skip = studies.run("--llem-skip", "--ignore=test_broken.py")
    skip.assert_outcomes(passed=1)


def test_xfail_from_a_hook_is_respected(studies: Studies):
    studies.write(FOUR)
    studies.pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail(strict=True))
        """
    )
    result = studies.run("--llem-budget", "e2el_s<=0", "-k", "out16")
    result.assert_outcomes(xfailed=2)
    assert result.ret == 0


def test_hooks_see_cells_results_and_the_end(studies: Studies):
    studies.write(FOUR)
    studies.pytester.makeconftest(
        """
        def pytest_llem_modify_cells(study, cells):
            cells[:] = [cell for cell in cells if cell.config.dataset.n == 1]
        def pytest_llem_experiment_result(cell, result):
            print("RESULT", cell.id, result.output_tokens > 0)
        def pytest_llem_environment(environment):
            environment["rack"] = "seven"
        def pytest_llem_study_finished(study, folder):
            print("FINISHED", study)
        """
    )
    result = studies.run("-s")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*RESULT instant-n1-out16 True", "*FINISHED batching*"])
    (folder,) = studies.runs()
    assert '"rack": "seven"' in (folder / "environment.json").read_text()


def test_a_value_in_the_ini_that_is_none_is_a_usage_error(studies: Studies) -> None:
    studies.pytester.makeini("[pytest]\nllem_busy = never\n")
    result = studies.run("--collect-only")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: llem_busy: 'never' is none of warn, fail, wait"])


def test_a_meter_that_nobody_knows_is_a_usage_error(studies: Studies) -> None:
    studies.write("llem: 1\nmodel: none\nbackend: instant\n")
    result = studies.run("--llem-meter=nvmll")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --llem-meter: no meter is called 'nvmll'", "*one of: auto, nvml, *"])


def test_a_field_that_the_fixture_does_not_have(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        def test_it(llem): llem.run(model='none', batch_sise=4)
        def test_sweep(llem): llem.run(model='none', sweep={})
        """
    )
    result = studies.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*llem.run() has no field 'batch_sise'", "*did you mean 'batch_size'?"])
    result.stdout.fnmatch_lines(["*llem.run() has no field 'sweep'", "*use pytest.mark.parametrize"])


def test_parameters_that_look_alike_in_a_file_name_have_results_of_their_own(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("model", ["org/a", "org-a"])
        def test_it(llem, model):
            llem.run(model="none", backend="instant", measure={"warmup": 0, "repeats": 1, "min_window_s": 0.01})
        """
    )
    studies.run().assert_outcomes(passed=2)
    kept = [json.loads(path.read_text()) for path in studies.pytester.path.glob("llem-results/*/*/result.json")]
    assert {result["cell_id"] for result in kept} == {"test_it[org/a]", "test_it[org-a]"}


def test_results_below_a_folder_with_a_colon(studies: Studies) -> None:
    run = "    llem.run(model='none', backend='instant', measure={'warmup': 0, 'min_window_s': 0.01})\n"
    (studies.pytester.path / "test_two.py").write_text("def test_it(llem):\n" + run + run)
    studies.run("--llem-results=results/12:30").assert_outcomes(passed=1)
    (manifest,) = studies.pytester.path.glob("results/*/*/manifest.json")
    assert len(json.loads(manifest.read_text())["cells"]) == 2


def test_files_that_look_alike_in_a_folder_name_have_runs_of_their_own(studies: Studies) -> None:
    text = "def test_it(llem): llem.run(model='none', backend='instant', measure={'warmup': 0, 'min_window_s': 0.01})\n"
    (studies.pytester.mkdir("a") / "test_b.py").write_text(text)
    (studies.pytester.path / "a_test_b.py").write_text(text)
    studies.run("a_test_b.py", "a/test_b.py").assert_outcomes(passed=2)
    assert sorted(run.name.partition("-")[0] for run in studies.runs()) == ["a.test_b", "a_test_b"]


def test_what_fails_in_the_fixture_shows_the_test_and_no_line_of_ours(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        import pytest

        def test_field(llem): llem.run(batch_sise=4)
        def test_type(llem): llem.run(batch_size="4")
        def test_experiment(llem): llem.run(model="none", backend="instant", instant={"behaviour": "fail"})

        @pytest.mark.llem_budget(e2el_s=0)
        def test_budget(llem): llem.run(model="none", backend="instant", measure={"warmup": 0, "min_window_s": 0.1})

        @pytest.mark.llem_budget(0.5)
        def test_of_what(llem): llem.run(model="none", backend="instant", measure={"warmup": 0, "min_window_s": 0.1})
        """
    )
    result = studies.run("--llem-json=all.json")
    result.assert_outcomes(failed=5)
    text = result.stdout.str()
    assert "llem_budget(0.5) does not say of what" in text
    failures = json.loads((studies.pytester.path / "all.json").read_text())["failures"]
    assert [line.partition("::")[2] for line in failures] == ["test_experiment: failed", "test_budget: over budget"]
    assert text.count("llem.run(") > 4
    assert "src/pytest_llem" not in text


def test_a_limit_on_a_test_without_experiments_is_told(studies: Studies) -> None:
    studies.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.llem_budget(energy_j=1)
        def test_without(): pass

        @pytest.mark.llem_budget(energy_j=1)
        class TestSome:
            def test_inherited(self): pass
        """
    )
    result = studies.run()
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*.py:3: *test_without: llem_budget limits nothing: the test does not use*"])
    studies.run("-W", "error::pytest.PytestWarning").assert_outcomes(passed=1, errors=1)


def test_inconclusive_can_pass_fail_or_skip(studies: Studies):
    studies.write(FOUR)
    budget = ("--llem-budget", "energy_per_output_token_j<=1000", "--llem-meter=replay:missing")
    assert studies.run(*budget, "-k", "n1-out16").ret == 1  # no such file: the cell fails, with the file's name
    undecided = ("--llem-budget", "mfu>=0.5", "-k", "n1-out16")
    passed = studies.run(*undecided)
    passed.assert_outcomes(passed=1, warnings=1)
    passed.stdout.fnmatch_lines(["*study.yaml:6: LlemWarning: *: inconclusive: mfu >= 0.500, found –: *"])
    studies.run(*undecided, "--llem-inconclusive=fail").assert_outcomes(failed=1)
    studies.run(*undecided, "--llem-inconclusive=skip").assert_outcomes(skipped=1)


def test_an_estimate_fails_where_a_measurement_is_required(studies: Studies):
    studies.write(FOUR)
    result = studies.run("--llem-require-measured", "-k", "n1-out16")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the energy is an estimate (cpu_estimate)*"])
    assert len(studies.results()) == 1, "the result is kept"
