"""The energy gate of a session: comparison, budgets over cycles, files, exit codes. Results are written by hand, and
tests that only name them stand for the items that measured them; what experiments do: ``test_gate_outcomes.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_llem.results.baseline import make_baseline, write_baseline
from pytest_llem.results.budgets import judge
from pytest_llem.results.model import ExperimentResult
from pytest_llem.study.budget import Budget
from tests.conftest import FAST, Studies, load_plugin
from tests.results.runs import cycles, device, noisy, write_run

METRIC = "energy_per_output_token_j"
FAIL_ON = f"--llem-fail-on={METRIC}:2%"
Session = Callable[..., pytest.RunResult]

TESTS = """
import json, pathlib, pytest

CELLS = json.loads(pathlib.Path("cells.json").read_text())

@pytest.mark.parametrize("cell", CELLS)
def test_cell(cell, record_property, llem):
    record_property("llem.result", CELLS[cell][0])
    record_property("llem.config_hash", CELLS[cell][1])
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What GPUs' noise is remembered here, not in the user's cache; and no CI system is at work."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def session(pytester: pytest.Pytester, bare: None) -> Session:
    """A session that has found ``results``, with a baseline ``main`` of ``before``."""

    def run(
        results: Sequence[ExperimentResult],
        *arguments: str,
        before: Sequence[ExperimentResult] = (),
        **manifest: object,
    ) -> pytest.RunResult:
        folder = write_run(pytester.path / "llem-results" / "run", results, **manifest)
        if before:
            write_baseline(pytester.path / "llem-results/baselines/main.json", make_baseline(before))
        cells = {r.cell_id: (str(folder / r.cell_id / "result.json"), r.config_hash) for r in results}
        (pytester.path / "cells.json").write_text(json.dumps(cells))
        pytester.makepyfile(test_cells=TESTS)
        return pytester.runpytest_inprocess(*load_plugin(), "-p", "no:cacheprovider", *arguments)

    return run


def budgeted(results: Sequence[ExperimentResult], **limits: float) -> list[ExperimentResult]:
    budget = Budget(metric=METRIC, **limits)
    return [result.model_copy(update={"verdicts": judge(result, [budget])}) for result in results]


def test_dearer_than_the_baseline_fails_though_every_test_passed(session: Session) -> None:
    found = session(cycles(noisy(1.1)), "--llem-compare=main", FAIL_ON, before=cycles(noisy(1.0, seed=1)))
    found.assert_outcomes(passed=5)
    assert found.ret == 1
    found.stdout.fnmatch_lines(
        [
            "compared with llem-results/baselines/main.json",
            f"WORSE  *study[[]pytorch-bs1[]] {METRIC} ↑ +10.0 % (*), tolerance 2 %, 5 cycles against 5",
            f"the run fails: study[[]pytorch-bs1[]]: {METRIC} got worse",
        ]
    )


def test_without_a_rule_a_comparison_is_only_told(session: Session) -> None:
    found = session(cycles(noisy(1.1)), "--llem-compare=main", before=cycles(noisy(1.0, seed=1)))
    assert found.ret == 0
    found.stdout.fnmatch_lines(["compared with * (only told)", "WORSE *"])
    found.stdout.no_fnmatch_line("the run fails*")


def test_the_same_passes(session: Session) -> None:
    found = session(cycles(noisy(1.0)), "--llem-compare=main", FAIL_ON, before=cycles(noisy(1.0, seed=1)))
    assert found.ret == 0
    found.stdout.fnmatch_lines(["pass  *tolerance 2 %*"])


@pytest.mark.parametrize(("word", "status"), [("pass", 0), ("skip", 0), ("fail", 1)])
def test_not_sure_is_what_the_user_says_it_is(session: Session, word: str, status: int) -> None:
    noise = cycles(noisy(1.0, noise=0.05, seed=1))
    found = session(noise, "--llem-compare=main", FAIL_ON, f"--llem-inconclusive={word}", before=noise)
    assert found.ret == status
    found.stdout.fnmatch_lines(["not sure *", "*cycles, here and in the baseline, would decide"])


def test_another_gpu_model_is_a_failure_with_its_reason(session: Session) -> None:
    before = cycles(noisy(1.0), devices=(device("GPU-9", "NVIDIA H100"),))
    found = session(cycles(noisy(1.0)), "--llem-compare=main", FAIL_ON, before=before)
    assert found.ret == 1
    found.stdout.fnmatch_lines(
        ["NOT COMPARED *", "the run fails: *another GPU model: the baseline is from NVIDIA H100, this is NVIDIA H200"]
    )


@pytest.mark.parametrize(("word", "status"), [("widen", 0), ("refuse", 1)])
def test_another_board_of_the_model_is_treated_as_configured(session: Session, word: str, status: int) -> None:
    before = cycles(noisy(1.0), devices=(device("GPU-9"),))
    found = session(cycles(noisy(1.05)), "--llem-compare=main", FAIL_ON, f"--llem-other-board={word}", before=before)
    assert found.ret == status
    found.stdout.fnmatch_lines(["*another board of the same model*"])


def test_rules_in_the_ini_file_wait_for_a_baseline(session: Session, pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\nllem_fail_on =\n    {METRIC}:2%\n    ttft_s:10%\n")
    assert session(cycles(noisy(1.1)), "-o", "llem_results=elsewhere").ret == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--llem-compare=none",), "*none.json: there is no such baseline*"),
        (("--llem-compare=./old.json",), "*old.json: there is no such baseline*"),
        ((FAIL_ON,), "*--llem-fail-on needs a baseline*"),
        (("--llem-compare=main", "--llem-fail-on=energy:5%"), "*'energy' is not a metric*"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_runs(
    session: Session, arguments: tuple[str, ...], message: str
) -> None:
    found = session(cycles([1.0]), *arguments, before=cycles([1.0]))
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines([message])


def test_no_results_are_no_pass(session: Session) -> None:
    before = cycles(noisy(1.0))
    assert session([], "--llem-compare=main", FAIL_ON, "--llem-inconclusive=fail", before=before).ret in (1, 5)


def test_a_baseline_that_knows_none_of_it_is_no_pass(session: Session) -> None:
    other = cycles(noisy(1.0), name="other")
    found = session(cycles(noisy(1.0)), "--llem-compare=main", FAIL_ON, before=other)
    assert found.ret == 1
    found.stdout.fnmatch_lines(["the run fails: nothing could be compared with the baseline"])


def test_without_a_rule_that_is_only_told(session: Session) -> None:
    other = cycles(noisy(1.0), name="other")
    assert session(cycles(noisy(1.0)), "--llem-compare=main", before=other).ret == 0


def test_what_is_saved_is_a_baseline_of_this_run(session: Session, pytester: pytest.Pytester) -> None:
    assert session(cycles(noisy(1.0)), "--llem-save=kept.json").ret == 0
    kept = json.loads((pytester.path / "kept.json").read_text())
    (entry,) = kept["configurations"]
    assert entry["figures"][METRIC] == pytest.approx(noisy(1.0))
    assert entry["boards"] == [{"uuid": "GPU-1", "name": "NVIDIA H200"}]


def test_a_run_that_ended_at_a_failure_replaces_no_baseline(studies: Studies) -> None:
    text = f"llem: 1\nmodel: none\nbackend: instant\n{FAST}\n"
    text += "sweep: {max_output_tokens: [1, 2, 3]}\n"
    studies.write(text)
    assert studies.run("--llem-save=b.json").ret == 0
    studies.write(text + "budgets: [{metric: e2el_s, max: 0, when: {max_output_tokens: 1}}]\n")
    found = studies.run("-x", "--llem-save=b.json")
    found.stdout.fnmatch_lines(["not kept, the run is not complete: b.json"])
    assert len(json.loads((studies.pytester.path / "b.json").read_text())["configurations"]) == 3


def test_a_comparison_that_was_asked_for_and_had_nothing_to_compare_fails(studies: Studies) -> None:
    studies.write("llem: 1\nmodel: none\nbackend: instant\n")
    studies.pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="no GPU"))
        """
    )
    write_baseline(studies.pytester.path / "b.json", make_baseline(cycles(noisy(1.0))))
    rules = ("--llem-compare=b.json", FAIL_ON)
    found = studies.run(*rules)
    assert found.ret == 1
    found.stdout.fnmatch_lines(["the run fails: nothing could be compared with the baseline"])
    assert studies.run(*rules, "--collect-only").ret == 0
    studies.pytester.makeini(f"[pytest]\naddopts = {' '.join(rules)}\n")
    assert studies.run().ret == 0, "it holds for runs of other tests, too"


def test_files_asked_for_of_a_run_that_measured_nothing(studies: Studies) -> None:
    studies.pytester.makepyfile("def test_it(): pass")
    found = studies.run("--llem-json=all.json")
    found.stdout.fnmatch_lines(["nothing was measured: no file that was asked for is written"])


def test_two_studies_of_one_name_have_a_page_each(studies: Studies) -> None:
    pytest.importorskip("vl_convert")
    for folder in "ab":
        studies.write(f"llem: 1\nmodel: none\nbackend: instant\n{FAST}\n", f"{folder}/s.yaml")
    assert studies.run("--llem-html=page.html").ret == 0
    assert sorted(path.name for path in studies.pytester.path.glob("page*.html")) == sorted(
        f"page-{run.name}.html" for run in studies.runs()
    )


def test_an_interrupted_run_replaces_no_baseline(session: Session, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        def pytest_runtest_teardown(item):
            if "c3" in item.name:
                pytest.exit("enough")
        """
    )
    found = session(cycles(noisy(1.1)), "--llem-save=main", before=cycles(noisy(1.0)))
    assert found.ret == pytest.ExitCode.INTERRUPTED
    found.stdout.fnmatch_lines(["not kept, the run is not complete: *main.json"])
    kept = json.loads((pytester.path / "llem-results/baselines/main.json").read_text())
    assert kept["configurations"][0]["figures"][METRIC] == pytest.approx(noisy(1.0))


def test_saving_and_comparing_by_one_name_compares_with_what_was_there(
    session: Session, pytester: pytest.Pytester
) -> None:
    found = session(
        cycles(noisy(1.1)), "--llem-save=main", "--llem-compare=main", FAIL_ON, before=cycles(noisy(1.0, seed=1))
    )
    assert found.ret == 1
    kept = json.loads((pytester.path / "llem-results/baselines/main.json").read_text())
    assert kept["configurations"][0]["figures"][METRIC] == pytest.approx(noisy(1.1))


def test_a_mean_over_budget_fails_where_no_single_cycle_can(session: Session) -> None:
    wide = cycles(noisy(1.0), energy_per_output_token_j_ci95=(0.99, 1.01))
    unsure = [r.model_copy(update={"energy_per_output_token_j_ci95": (0.93, 1.07)}) for r in wide[1:]]
    results = budgeted([wide[0], *unsure], max=0.975)
    assert [r.verdicts[0].outcome for r in results[1:]] == ["inconclusive"] * 4
    found = session(results)
    found.assert_outcomes(passed=5)
    assert found.ret == 1
    found.stdout.fnmatch_lines([f"OVER BUDGET * {METRIC} <= 975 mJ, mean of 5 cycles 1.00 J (*)"])


def test_cycles_that_went_on_until_decided_are_judged_more_strictly(session: Session) -> None:
    results = budgeted(cycles([1.0, 1.02, 0.98], energy_per_output_token_j_ci95=None), max=1.06)
    found = session(results, "--llem-inconclusive=fail", max_cycles=12)
    assert found.ret == 1
    found.stdout.fnmatch_lines(["not sure *mean of 3 cycles*"])


def test_files_for_people_and_programs(session: Session, pytester: pytest.Pytester) -> None:
    pytest.importorskip("vl_convert")
    found = session(
        budgeted(cycles(noisy(1.1)), max=2.0),
        "--llem-json=out/all.json",
        "--llem-md=out/table.md",
        "--llem-html=out/report.html",
        "--llem-compare=main",
        FAIL_ON,
        before=cycles(noisy(1.0, seed=1)),
    )
    found.stdout.fnmatch_lines(["written: out/all.json", "written: out/table.md"])
    told = json.loads((pytester.path / "out/all.json").read_text())
    assert told["comparison"]["outcome"] == "fail"
    assert told["comparison"]["comparisons"][0]["ratio"] == pytest.approx(1.1, rel=0.01)
    assert told["failures"] == [f"study[pytorch-bs1]: {METRIC} got worse"]
    assert told["over_cycles"][0]["verdicts"][0]["outcome"] == "pass"
    assert len(told["studies"][0]["results"]) == 5
    table = (pytester.path / "out/table.md").read_text()
    assert "### Energy against the baseline: ❌ fail" in table
    assert "### Budgets over cycles" in table
    assert "<!doctype html>" in (pytester.path / "out/report.html").read_text().lower()


@pytest.mark.parametrize("kind", ["json", "md", "html"])
def test_a_file_that_cannot_be_written_fails_the_run(session: Session, pytester: pytest.Pytester, kind: str) -> None:
    if kind == "html":
        pytest.importorskip("vl_convert")
    (pytester.path / "file").write_text("")
    found = session(cycles([1.0]), f"--llem-{kind}=file/all.{kind}")
    assert found.ret == 1
    found.stdout.fnmatch_lines(["the run fails: *file: cannot be made*"])


@pytest.mark.parametrize("flag", ["--llem-compare", "--llem-save", "--llem-json"])
def test_an_option_without_a_value_is_told(session: Session, flag: str) -> None:
    """Such as one whose variable is not set."""
    found = session(cycles([1.0]), f"{flag}=")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines([f"*{flag} is given without a value*"])


def test_annotations_on_github_name_file_and_line(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = session(cycles(noisy(1.1)), "--llem-compare=main", FAIL_ON, before=cycles(noisy(1.0, seed=1)))
    found.stdout.fnmatch_lines(["::error file=test_cells.py,line=5,title=study[[]pytorch-bs1[]] got dearer::*"])


def test_what_is_expected_to_fail_does_not_fail_the_run(session: Session, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
        """
    )
    found = session(cycles(noisy(1.1)), "--llem-compare=main", FAIL_ON, before=cycles(noisy(1.0, seed=1)))
    assert found.ret == 0
    found.stdout.fnmatch_lines(["WORSE *"])


def test_other_tokens_than_the_baselines_are_pointed_out(session: Session) -> None:
    before = cycles(noisy(1.0), output_hash="c" * 64)
    found = session(cycles(noisy(0.5)), "--llem-compare=main", FAIL_ON, before=before)
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*cheaper tokens that are different tokens*"])


def test_json_report_has_the_verdict_and_the_exit_code(session: Session, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_jsonreport")
    found = session(
        cycles(noisy(1.1)), "--llem-compare=main", FAIL_ON, "--json-report", before=cycles(noisy(1.0, seed=1))
    )
    assert found.ret == 1
    told = json.loads((pytester.path / ".report.json").read_text())
    assert told["exitcode"] == 1
    assert told["llem"]["comparison"]["outcome"] == "fail"


def test_beside_a_json_report_the_run_is_finished_in_ours(studies: Studies) -> None:
    """It asks before the manifest has its end."""
    pytest.importorskip("pytest_jsonreport")
    studies.write(f"llem: 1\nmodel: none\nbackend: instant\n{FAST}\n")
    assert studies.run("--json-report", "--llem-json=all.json").ret == 0
    (study,) = json.loads((studies.pytester.path / "all.json").read_text())["studies"]
    assert study["manifest"]["status"] == "finished"


def test_noise_is_learned_from_what_is_kept(session: Session, own_cache: Path) -> None:
    session(cycles(noisy(1.0)), "--llem-save=main")
    (known,) = (own_cache / "pytest-llem" / "noise").glob("*.json")
    assert json.loads(known.read_text())["board"] == "GPU-1"


def test_noise_that_cannot_be_remembered_fails_nothing(session: Session, own_cache: Path) -> None:
    own_cache.write_text("a file where a folder should be")
    found = session(cycles(noisy(1.0)), "--llem-save=main")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["how the figures vary was not remembered: *"])
