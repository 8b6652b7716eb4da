"""Going on with a run that did not come to its end: what runs, what does not, what is refused."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FAST, Studies

HEAD = f"llem: 1\nname: long\nmodel: none\nbackend: instant\n{FAST}\n"
THREE = HEAD + "sweep: {max_output_tokens: [1, 2, 3]}\n"


def half_done(studies: Studies, text: str = THREE, arguments: tuple[str, ...] = ()) -> Path:
    """A run of three cells of which the second was lost; what is on disk says so, as after a kill."""
    path = studies.write(text)
    assert studies.run(*arguments).ret in (0, 1)
    (folder,) = studies.runs()
    shutil.rmtree(folder / "instant-out2")
    change(folder, status="running", finished_at=None, cells={"instant-out2": {"status": "running", "result": None}})
    return path


def change(folder: Path, cells: dict[str, dict[str, Any]], **fields: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(fields)
    for entry in manifest["cells"]:
        entry.update(cells.get(entry["cell_id"], {}))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def written(studies: Studies) -> dict[str, int]:
    """When each result was written."""
    (folder,) = studies.runs()
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}


def test_only_what_has_no_result_is_run(studies: Studies) -> None:
    half_done(studies)
    before = written(studies)
    result = studies.run("--llem-resume", ".")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    after = written(studies)
    assert len(studies.runs()) == 1
    assert {name: after[name] for name in before} == before
    assert sorted(after) == ["instant-out1", "instant-out2", "instant-out3"]
    assert set(studies.statuses().values()) == {"passed"}
    assert studies.manifest()["status"] == "finished"
    result.stdout.fnmatch_lines(["instant-out1 *passed*", "instant-out2 *passed*", "instant-out3 *passed*"])


def test_stored_results_are_judged_by_the_present_budgets(studies: Studies) -> None:
    half_done(studies)
    result = studies.run("--llem-resume", "--llem-budget", "e2el_s<=0")
    result.assert_outcomes(failed=3)
    assert result.ret == 1
    assert set(studies.statuses().values()) == {"over_budget"}
    assert studies.results()["instant-out1"]["verdicts"][0]["outcome"] == "fail"


def test_a_result_that_was_written_just_before_the_kill_counts(studies: Studies) -> None:
    studies.write(THREE)
    studies.run()
    (folder,) = studies.runs()
    change(folder, status="running", cells={"instant-out3": {"status": "running", "result": None}})
    before = written(studies)
    assert studies.run("--llem-resume").ret == 0
    assert written(studies) == before
    assert studies.statuses()["instant-out3"] == "passed"


def test_a_damaged_result_is_measured_again(studies: Studies) -> None:
    half_done(studies)
    (folder,) = studies.runs()
    (folder / "instant-out1" / "result.json").write_text('{"schema_version": 1, "cell_')
    assert studies.run("--llem-resume").ret == 0
    assert sorted(studies.results()) == ["instant-out1", "instant-out2", "instant-out3"]


def test_xdist_goes_on_with_the_same_run(studies: Studies) -> None:
    half_done(studies)
    before = written(studies)
    result = studies.run("--llem-resume", "-n2")
    result.assert_outcomes(passed=3)
    after = written(studies)
    assert {name: after[name] for name in before} == before
    assert len(studies.runs()) == 1
    assert set(studies.statuses().values()) == {"passed"}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("sweep: {max_output_tokens: [1, 2, 3, 4]}\n", "added: instant-out4"),
        ("sweep: {max_output_tokens: [1, 2]}\n", "removed: instant-out3"),
        ("seed: 7\nsweep: {max_output_tokens: [1, 2, 3]}\n", "changed: instant-out1, instant-out2, instant-out3"),
        ("execution: {order: shuffled}\nsweep: {max_output_tokens: [1, 2, 3]}\n", "cycles, order or gaps differ"),
    ],
)
def test_another_study_is_refused_with_what_differs(studies: Studies, now: str, told: str) -> None:
    half_done(studies)
    before = written(studies)
    studies.write(HEAD + now)
    result = studies.run("--llem-resume")
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"long-*cannot be gone on with: the study has changed: {told}", "*hint: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert written(studies) == before
    assert studies.manifest()["status"] == "interrupted", "it can still be gone on with"


def test_runs_can_be_named_and_what_is_none_is_told(studies: Studies) -> None:
    half_done(studies)
    (folder,) = studies.runs()
    result = studies.run("--llem-resume=nothing")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: nothing: there is no such run", f"*hint: the newest are: {folder.name}*"])
    assert studies.run(f"--llem-resume={folder.name}").ret == 0
    done = studies.run("--llem-resume")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["ERROR: there is no run to go on with in *: 1 are complete"])
    assert studies.run(f"--llem-resume=llem-results/{folder.name}").ret == 0, "a complete run is judged again"


def test_a_run_elsewhere_is_refused_with_the_option_that_helps(studies: Studies) -> None:
    half_done(studies)
    (folder,) = studies.runs()
    result = studies.run(f"--llem-resume={folder}", "--llem-results=others")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*: lies outside of the results folder *", f"*hint: add --llem-results={folder.parent}"]
    )


def test_a_run_that_still_runs_is_refused(studies: Studies) -> None:
    from filelock import FileLock

    half_done(studies)
    (folder,) = studies.runs()
    with FileLock(folder / ".lock"):
        result = studies.run("--llem-resume")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {folder.name}: another process is running it"])


def recorded_elsewhere(folder: Path, **runner: str) -> None:
    """The results of a run, as they were if they had been measured on another machine, or by that runner."""
    for path in folder.glob("*/result.json"):
        result = json.loads(path.read_text())
        result["runner"].update(runner)
        result["environment_hash"] = result["environment_hash"] if runner else "0"
        path.write_text(json.dumps(result))
    if not runner:
        path = folder / "environment.json"
        before = json.loads(path.read_text())
        path.write_text(json.dumps({**before, "host": {**before["host"], "cpu_model": "Z80"}, "environment_hash": "0"}))


CHANGES = [({}, "host.cpu_model: Z80 → *"), ({"image": "x:1", "image_digest": "sha256:1"}, "image: x:1 → none; *")]


@pytest.mark.parametrize(("runner", "told"), CHANGES)
@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_another_machine_or_image_is_refused(
    studies: Studies, runner: dict[str, str], told: str, workers: tuple[str, ...]
) -> None:
    half_done(studies, HEAD + "sweep: {max_output_tokens: [1, 2, 3, 4]}\n")
    (folder,) = studies.runs()
    shutil.rmtree(folder / "instant-out4")
    recorded_elsewhere(folder, **runner)
    before = written(studies)
    result = studies.run("--llem-resume", *workers)
    assert result.ret == 1
    line = f"{folder.name} cannot be gone on with, it was measured on something else: {told}"
    result.stdout.fnmatch_lines([line, "*hint: *--llem-accept-changes"])
    assert written(studies) == before, "nothing was measured, and nothing lost"
    assert studies.manifest()["status"] == "stopped"
    if not workers:
        assert result.parseoutcomes() == {"passed": 2, "failed": 1, "skipped": 1}, "it is told once"


@pytest.mark.parametrize(("runner", "told"), CHANGES)
def test_another_machine_or_image_can_be_accepted(studies: Studies, runner: dict[str, str], told: str) -> None:
    half_done(studies)
    (folder,) = studies.runs()
    recorded_elsewhere(folder, **runner)
    result = studies.run("--llem-resume", "--llem-accept-changes")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*{folder.name}: not what earlier results were measured on: {told}"])
    assert set(studies.statuses().values()) == {"passed"}
    if not runner:
        assert "Z80" in (folder / "environment.json").read_text(), "what was known of the first results is kept"
        assert len(list(folder.glob("environment-*.json"))) == 1


FAILING = """
execution: {max_consecutive_failures: 2}
instant: {behaviour: fail}
sweep: {max_output_tokens: [1, 2, 3, 4]}
"""


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_failures_in_a_row_stop_the_study_and_it_can_be_gone_on_with(
    studies: Studies, workers: tuple[str, ...]
) -> None:
    studies.write(HEAD + FAILING)
    studies.pytester.makepyfile(test_other="def test_other(): pass")
    result = studies.run(*workers)
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 1, "other tests are none of the study's business"
    assert outcomes["failed"] in ((2,) if not workers else (2, 3))
    assert outcomes["failed"] + outcomes["skipped"] == 4
    assert result.ret == 1
    manifest = studies.manifest()
    assert manifest["status"] == "stopped"
    assert "2 experiments in a row failed" in manifest["note"]
    result.stdout.fnmatch_lines(["stopped: 2 experiments in a row failed*--llem-resume goes on"])
    again = studies.run("--llem-resume", "--llem-only")
    assert again.parseoutcomes() == {"failed": 2, "skipped": 2}


def test_retries_are_for_workers_not_for_budgets(studies: Studies) -> None:
    studies.write(HEAD + "execution: {retries: 2}\ninstant: {behaviour: fail}\n", "failing.yaml")
    studies.write(HEAD + "execution: {retries: 2}\nbudgets: [{metric: e2el_s, max: 0}]\n", "dear.yaml")
    result = studies.run()
    result.assert_outcomes(failed=2)
    logs = [path.read_text() for path in studies.pytester.path.glob("llem-results/*/*/worker.log")]
    tries = sorted(log.count("BackendError: the instant backend was told to fail") for log in logs)
    assert tries[-1] >= 3
    (result_file,) = studies.pytester.path.glob("llem-results/*/*/result.json")
    assert json.loads(result_file.read_text())["warnings"] == [], "nothing was tried again"


@pytest.mark.slow
def test_the_time_limit_of_the_whole_study(studies: Studies) -> None:
    studies.write(
        HEAD
        + "execution: {study_timeout_s: 6}\ninstant: {seconds: 1.2}\nsweep: {max_output_tokens: [1, 2, 3, 4, 5, 6]}\n"
    )
    result = studies.run("-rs")
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) <= 1, "the one that was running"
    assert outcomes["skipped"] >= 2
    result.stdout.fnmatch_lines(["*the time limit of the whole study is up (execution.study_timeout_s: 6)"])
    studies.run("--llem-resume", "-o", "llem_timeout=60")
    assert len(studies.results()) > outcomes.get("passed", 0)


def test_the_time_limit_of_the_whole_study_holds_for_all_tries_together(studies: Studies) -> None:
    limits = "execution: {study_timeout_s: 4, retries: 3}\ninstant: {behaviour: hang}\n"
    studies.write(HEAD + limits)
    start = time.monotonic()
    result = studies.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the time limit of the whole study is up (execution.study_timeout_s: 4)"])
    assert time.monotonic() - start < 12


def test_gaps_are_waited_for_between_experiments_only(studies: Studies) -> None:
    studies.write(HEAD + "execution: {experiment_gap_s: 1.5}\nsweep: {max_output_tokens: [1, 2]}\n")
    assert studies.run().ret == 0
    first, second = sorted(
        (result["repeats"][0]["start"], result["repeats"][-1]["end"]) for result in studies.results().values()
    )
    assert 1.5 < second[0] - first[1] < 6


def test_another_study_of_the_same_name_overwrites_nothing(studies: Studies) -> None:
    studies.write(HEAD + "max_output_tokens: 5\n", "a/study.yaml")
    studies.write(HEAD + "max_output_tokens: 7\n", "b/study.yaml")
    assert studies.run("a").ret == 0
    (folder,) = studies.runs()
    result = studies.run(f"--llem-resume={folder.name}", "b")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{folder.name} holds another study of this name: *a/study.yaml"])
    assert studies.results()["instant"]["config"]["max_output_tokens"] == 5


def test_a_study_that_was_moved_is_gone_on_with(studies: Studies) -> None:
    path = half_done(studies)
    before = written(studies)
    path.rename(path.with_name("moved.yaml"))
    (folder,) = studies.runs()
    studies.run(f"--llem-resume={folder.name}").assert_outcomes(passed=3)
    assert {name: written(studies)[name] for name in before} == before


def test_a_run_of_python_tests_is_not_gone_on_with(studies: Studies) -> None:
    studies.pytester.makepyfile(
        "def test_it(llem): llem.run(model='none', backend='instant', measure={'warmup': 0, 'min_window_s': 0.01})"
    )
    studies.run().assert_outcomes(passed=1)
    (folder,) = studies.runs()
    result = studies.run(f"--llem-resume={folder.name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is a run of tests in Python, which cannot be gone on with*"])


def test_a_run_that_was_decided_early_is_done(studies: Studies) -> None:
    studies.write(HEAD + "execution: {cycles: auto, max_cycles: 6}\nbudgets: [{metric: e2el_s, max: 100}]\n")
    assert studies.run().ret == 0
    assert "skipped" in studies.statuses().values()
    result = studies.run("--llem-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no run to go on with in *: 1 are complete"])


@pytest.mark.slow
def test_a_damaged_result_fails_no_other_cycle(studies: Studies) -> None:
    """The worker that does not measure it again may look at it first."""
    text = HEAD.replace("min_window_s: 0.02", "min_window_s: 2")
    studies.write(text + "execution: {cycles: auto, max_cycles: 4}\nbudgets: [{metric: e2el_s, max: 100}]\n")
    assert studies.run().ret == 0
    (folder,) = studies.runs()
    (folder / "instant-c1/result.json").write_text("{")
    change(folder, {}, status="interrupted")
    assert studies.run(f"--llem-resume={folder.name}", "-n2").ret == 0
