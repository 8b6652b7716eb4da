"""Two variants of a study in turns: revisions and interpreters whose workers really run other code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FAST, Studies

STUDY = f"llem: 1\nname: turns\nmodel: none\nbackend: paced\n{FAST}\n"
REVISIONS = "variants:\n  old: {git: HEAD~1}\n  new:\n"
PACED = """
import time
from pytest_llem.testing import InstantBackend, InstantEngine

class PacedEngine(InstantEngine):
    def generate(self, *arguments):
        import speed
        time.sleep(speed.SECONDS)
        return super().generate(*arguments)

class PacedBackend(InstantBackend):
    name = "paced"

    def load(self, config, say):
        return PacedEngine()
"""
FAIL_ON = "--llem-fail-on=output_tokens_per_s:30%"


def git(*arguments: str) -> str:
    author = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    return subprocess.run(["git", *author, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(
    studies: Studies, instant: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Studies:
    """A repository, the current folder, whose second commit makes each pass slower; a backend that runs its code."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    (instant / "paced.py").write_text(PACED)
    with (instant / "instant-1.dist-info" / "entry_points.txt").open("a") as file:
        file.write("paced = paced:PacedBackend\n")
    monkeypatch.chdir(studies.pytester.path)
    git("init", "--quiet", ".")
    for seconds in (0.02, 0.2):
        studies.write(f"SECONDS = {seconds}\n", "src/speed.py")
        git("add", "src")
        git("commit", "--quiet", "-m", "a pace")
    return studies


def order(results: dict[str, dict[str, Any]]) -> list[str]:
    """The variants in the order in which they were measured."""
    return [r["variant"]["name"] for r in sorted(results.values(), key=lambda r: float(r["repeats"][0]["start"]))]


@pytest.mark.slow
def test_a_revision_that_got_slower_is_found(project: Studies) -> None:
    project.write(STUDY + REVISIONS)
    found = project.run(
        FAIL_ON, "--llem-json=all.json", "--llem-md=table.md", "--llem-html=page.html", "--junitxml=j.xml"
    )
    found.assert_outcomes(passed=8)
    assert found.ret == 1
    found.stdout.fnmatch_lines(
        [
            "variants compared",
            "WORSE  *turns[[]paced-new[]] output_tokens_per_s ↓ *, tolerance 30 %, 4 cycles against 4",
            "*against turns[[]paced-old[]]: variant's git HEAD~1 -> absent",
            "the run fails: turns[[]paced-new[]]: output_tokens_per_s got worse",
        ]
    )
    results = project.results()
    assert order(results) == ["old", "new", "new", "old", "old", "new", "new", "old"]
    assert len({result["config_hash"] for result in results.values()}) == 1
    commit = git("rev-parse", "HEAD~1").strip()
    assert results["paced-old-c1"]["variant"] == {"name": "old", "git": "HEAD~1", "commit": commit}
    assert results["paced-new-c1"]["variant"] == {"name": "new", "against": "old"}
    told = json.loads((project.pytester.path / "all.json").read_text())
    (row,) = told["comparison"]["comparisons"]
    assert row["ratio"] < 0.6
    assert [c["varied"] for c in told["studies"][0]["configurations"]] == [{"variant": "old"}, {"variant": "new"}]
    assert "| turns\\[paced-new\\] | `output_tokens_per_s` |" in (project.pytester.path / "table.md").read_text()
    assert "paced-new" in (project.pytester.path / "page.html").read_text()
    assert git("worktree", "list").count("\n") == 1, "the other tree is gone"


def test_the_same_in_another_interpreter_is_no_worse(project: Studies) -> None:
    other = project.pytester.path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(other)], check=True)
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = other.glob("lib/python*/site-packages")
    (site / "beside.pth").write_text("\n".join(paths))
    project.write(STUDY + "variants: {here: {}, there: {python: other/bin/python}}\nexecution: {cycles: 3}\n")
    found = project.run(FAIL_ON, "-m", "llem")
    found.assert_outcomes(passed=6)
    assert found.ret == 0
    found.stdout.fnmatch_lines(
        ["*turns[[]paced-there[]] output_tokens_per_s *", "*variant's python absent -> other/bin/python*"]
    )


def test_without_a_rule_a_comparison_is_only_told_and_one_cell_can_be_chosen(project: Studies) -> None:
    project.write(STUDY + REVISIONS + "execution: {cycles: 2}\n")
    assert project.run("-m", "llem(variant='old')").ret == 0
    found = project.run("--llem-inconclusive=fail")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["variants compared (only told)"])


def test_cycles_stop_when_the_variants_are_compared(project: Studies) -> None:
    project.write(STUDY + REVISIONS + "execution: {cycles: auto, max_cycles: 5}\n")
    found = project.run(FAIL_ON, "-rs")
    found.assert_outcomes(passed=6, skipped=4)
    found.stdout.fnmatch_lines(["SKIPPED * decided after 3 cycles"])


def test_engines_are_shared_within_a_variant_only(project: Studies) -> None:
    project.write(STUDY + REVISIONS + "execution: {cycles: 2}\nsweep: {dataset.n: [1, 2]}\n")
    project.run("--llem-isolation=engine").assert_outcomes(passed=8)
    results = project.results()
    assert order(results) == ["old", "old", "new", "new", "new", "new", "old", "old"]
    rates = {name: result["output_tokens_per_s"] / int(name[7]) for name, result in results.items()}
    assert max(rate for name, rate in rates.items() if "new" in name) < min(
        rate for name, rate in rates.items() if "old" in name
    )


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("{git: HEAD~1, setup: 'echo no such package; false'}", "*old.setup ended with 1 in *no such package*"),
        ("{git: HEAD~1, python: nowhere/python}", "*old.python: there is no nowhere/python in *"),
    ],
)
def test_what_a_variant_lacks_fails_its_cells_only(project: Studies, variant: str, message: str) -> None:
    project.write(STUDY + f"variants: {{old: {variant}, new: {{}}}}\nexecution: {{cycles: 1}}\n")
    found = project.run(FAIL_ON)
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(message.split("*no ")[0] + "*")
    assert git("worktree", "list").count("\n") == 1


def test_failing_on_what_is_compared_with_nothing_is_wrong_usage(project: Studies) -> None:
    project.write(STUDY)
    found = project.run(FAIL_ON)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["*--llem-fail-on needs a baseline*or give a study variants"])


def ab(project: Studies, *arguments: str) -> subprocess.CompletedProcess[str]:
    project.write(STUDY)
    called = "import sys; from pytest_llem.cli import main; sys.exit(main())"
    told = [sys.executable, "-c", called, "ab", *arguments, *project.arguments()]
    return subprocess.run(told, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_ab_is_the_same_for_a_study_without_variants(project: Studies) -> None:
    told = ("study.yaml", "--fail-on=output_tokens_per_s:30%", "--cycles=3", "--setup=touch made")
    done = ab(project, "HEAD~1", *told, "--llem-md=table.md")
    assert "WORSE         turns[paced-now] output_tokens_per_s" in done.stdout
    assert done.returncode == 1
    assert (project.pytester.path / "made").exists()
    assert (project.pytester.path / "table.md").exists()
    assert order(project.results()) == ["before", "now", "now", "before", "before", "now"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("HEAD", "study.yaml", "--cycles=1"), "has one valid cycle, which says nothing of how cycles differ"),
        (("nothing", "study.yaml"), "--llem-variants:1: variants.before.git: there is no revision 'nothing'"),
        (("HEAD", "study.yaml", "--setup=false"), "before.setup ended with 1"),
        (("HEAD", "nowhere.yaml"), "file or directory not found: nowhere.yaml"),
    ],
)
def test_ab_cannot_judge_what_was_not_measured(project: Studies, arguments: tuple[str, ...], message: str) -> None:
    done = ab(project, *arguments)
    assert message in done.stdout + done.stderr
    assert done.returncode == 125
