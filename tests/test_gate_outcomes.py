"""Passing, failing and undecided cells under everything that pytest and its plugins do with tests."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from tests.conftest import FAST, Studies

PASSES, FAILS, UNSURE = "instant-n1", "instant-n2", "instant-n4"
MIXED = f"""\
llem: 1
name: mixed
model: none
backend: instant
{FAST}
sweep: {{dataset.n: [1, 2, 4]}}
budgets:
  - {{metric: e2el_s, max: 10, when: {{dataset.n: 1}}}}
  - {{metric: e2el_s, max: 0.0, when: {{dataset.n: 2}}}}
  - {{metric: peak_memory_bytes, max: 1 GiB, when: {{dataset.n: 4}}}}   # this backend has none: never decided
"""
STATUSES = {PASSES: "passed", FAILS: "over_budget", UNSURE: "passed"}


def check_reports(studies: Studies) -> None:
    """JUnit and pytest-json-report tell the same, each test once."""
    cases = ET.parse(studies.pytester.path / "out.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == [f"mixed[{name}]" for name in STATUSES]
    assert [len(case.findall("failure")) for case in cases] == [0, 1, 0]
    for case in cases:
        names = [found.get("name") for found in case.iter("property")]
        assert names.count("llem.output_tokens_per_s") == names.count("llem.verdict") == 1
    told = json.loads((studies.pytester.path / ".report.json").read_text())
    assert {test["nodeid"]: test["outcome"] for test in told["tests"]} == {
        f"study.yaml::mixed[{PASSES}]": "passed",
        f"study.yaml::mixed[{FAILS}]": "failed",
        f"study.yaml::mixed[{UNSURE}]": "passed",
    }
    assert [test["metadata"]["llem"]["cell_id"] for test in told["tests"]] == list(STATUSES)
    assert told["exitcode"] == 1
    assert len(told["llem"]["runs"]) == 1


@pytest.mark.parametrize("workers", [(), ("-n", "4")], ids=["alone", "workers"])
def test_each_cell_has_its_outcome_and_one_entry_everywhere(studies: Studies, workers: tuple[str, ...]) -> None:
    studies.write(MIXED)
    order = ("--dist=loadfile",) if workers else ()  # else JUnit lists tests as they end
    found = studies.run("--junitxml=out.xml", "--json-report", *workers, *order)
    found.assert_outcomes(passed=2, failed=1, warnings=1)
    assert found.ret == 1
    assert studies.statuses() == STATUSES
    assert set(studies.results()) == set(STATUSES)
    check_reports(studies)


def test_first_failure_stops_and_is_what_runs_again(studies: Studies) -> None:
    studies.write(MIXED)
    first = studies.run("-x", "-o", "cache_dir=.cache")
    first.assert_outcomes(passed=1, failed=1)
    assert first.ret == 1
    assert studies.statuses() == {PASSES: "passed", FAILS: "over_budget", UNSURE: "pending"}
    again = studies.run("--lf", "-o", "cache_dir=.cache", "--llem-budget=e2el_s<=5")
    again.assert_outcomes(failed=1)
    assert len(studies.runs()) == 2


@pytest.mark.parametrize(("counts_as", "again"), [("pass", {FAILS}), ("fail", {FAILS, UNSURE})])
def test_an_undecided_cell_runs_again_if_it_counts_as_failed(studies: Studies, counts_as: str, again: set[str]) -> None:
    studies.write(MIXED)
    options = ("-o", "cache_dir=.cache", f"--llem-inconclusive={counts_as}")
    assert studies.run(*options).ret == 1
    found = studies.run("--lf", *options, "--llem-results=again")
    found.assert_outcomes(failed=len(again))
    assert found.ret == 1
    assert {path.parent.name for path in studies.pytester.path.glob("again/*/*/result.json")} == again


@pytest.mark.parametrize("counts_as", ["pass", "fail"])
def test_a_test_that_is_tried_again_has_one_entry(studies: Studies, counts_as: str) -> None:
    studies.write(MIXED)
    studies.pytester.makeconftest(  # what pytest-rerunfailures does
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            hook = item.ihook
            hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for last in (False, True):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                if broken := not last and any(report.failed for report in reports):
                    item._initrequest()
                for report in reports:
                    report.outcome = "rerun" if broken and report.failed else report.outcome
                    hook.pytest_runtest_logreport(report=report)
                if not broken:
                    break
            hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        """
    )
    found = studies.run("--junitxml=out.xml", "--json-report", f"--llem-inconclusive={counts_as}")
    bad = [name for name in STATUSES if name == FAILS or (name == UNSURE and counts_as == "fail")]
    assert found.ret == 1
    assert found.parseoutcomes()["rerun"] == len(bad)
    assert (found.parseoutcomes()["passed"], found.parseoutcomes()["failed"]) == (3 - len(bad), len(bad))
    assert studies.statuses() == STATUSES | ({UNSURE: "failed"} if UNSURE in bad else {})
    assert set(studies.results()) == set(STATUSES)
    cases = ET.parse(studies.pytester.path / "out.xml").getroot().findall(".//testcase")
    verdicts = [
        (case.get("name"), one.get("value"))
        for case in cases
        for one in case.iter("property")
        if one.get("name") == "llem.verdict"
    ]
    assert verdicts == [
        (f"mixed[{name}]", verdict)
        for name, verdict in ((PASSES, "passed"), (FAILS, "over_budget"), (UNSURE, "inconclusive"))
    ]
    assert len(cases) == 3 + len(bad), "JUnit itself has a case for each try; only the last one has figures"
    told = json.loads((studies.pytester.path / ".report.json").read_text())
    assert [test["outcome"] for test in told["tests"]] == ["failed" if name in bad else "passed" for name in STATUSES]
    assert told["exitcode"] == 1


def test_expected_failures_leave_the_run_green(studies: Studies) -> None:
    studies.write(MIXED)
    studies.pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
        """
    )
    found = studies.run()
    found.assert_outcomes(xfailed=1, xpassed=2)
    assert found.ret == 0


def test_fixture_and_study_share_summary_manifest_and_baseline(studies: Studies) -> None:
    studies.write(MIXED)
    studies.pytester.makepyfile(
        test_python="""
        import pytest

        RUN = {"backend": "instant", "model": "none", "measure": {"warmup": 0, "repeats": 1, "min_window_s": 0.02}}

        @pytest.mark.parametrize("n", [1, 8])
        @pytest.mark.llem_budget(e2el_s=10)
        def test_passes(llem, n):
            llem.run(**RUN, dataset={"n": n})

        @pytest.mark.llem_budget(e2el_s=0)
        def test_fails(llem):
            llem.run(**RUN)

        def test_two(llem):
            llem.run(**RUN, max_output_tokens=3)
            llem.run(**RUN, max_output_tokens=4)

        def test_breaks(llem):
            llem.run(**RUN, instant={"behaviour": "fail"})
        """
    )
    found = studies.run("--llem-save=all.json", "-k", "python or n1")
    found.assert_outcomes(passed=4, failed=2)
    manifests = {folder.name.partition("-")[0]: folder for folder in studies.runs()}
    told = json.loads((manifests["test_python"] / "manifest.json").read_text())
    assert {entry["nodeid"].partition("::")[2]: entry["status"] for entry in told["cells"]} == {
        "test_passes[1]": "passed",
        "test_passes[8]": "passed",
        "test_fails": "over_budget",
        "test_two (run 1)": "passed",
        "test_two": "passed",
        "test_breaks": "failed",
    }
    assert told["status"] == "finished"
    found.stdout.fnmatch_lines(["*energy: test_python*", "test_passes[[]1[]] *passed*", "test_breaks *FAILED*"])
    kept = json.loads((studies.pytester.path / "all.json").read_text())
    labels = [f"{entry['study']}[{','.join(entry['cells'])}]" for entry in kept["configurations"]]
    assert labels == [
        "mixed[instant-n1,test_passes[1]]",  # the same experiment, wherever it is written
        "test_python[test_fails,test_passes[8]]",
        "test_python[test_two]",
        "test_python[test_two-2]",
    ]


def test_cycles_stop_when_decided(studies: Studies) -> None:
    head = MIXED.replace("[1, 2, 4]", "[1]").partition("budgets:")[0]
    studies.write(head + "budgets: [{metric: e2el_s, max: 10}]\nexecution: {cycles: auto, max_cycles: 5}\n")
    found = studies.run("-rs")
    found.assert_outcomes(passed=3, skipped=2)
    found.stdout.fnmatch_lines(["pass * e2el_s <= 10.0 s, mean of 3 cycles *", "SKIPPED * decided after 3 cycles"])
    assert list(studies.statuses().values()) == ["passed"] * 3 + ["skipped"] * 2
