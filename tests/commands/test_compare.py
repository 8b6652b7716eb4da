"""``llem compare`` and ``llem report`` on recorded runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llem.cli import main
from pytest_llem.results.baseline import make_baseline, write_baseline
from pytest_llem.results.model import Verdict
from tests.results.runs import cycles, device, noisy, write_run

RULE = "--fail-on=energy_per_output_token_j:2%"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def before(tmp_path: Path) -> str:
    path = tmp_path / "before.json"
    write_baseline(path, make_baseline(cycles(noisy(1.0, seed=1))))
    return str(path)


def now(tmp_path: Path, mean: float, noise: float = 0.005, **changes: object) -> str:
    return str(write_run(tmp_path / "run", cycles(noisy(mean, noise=noise), **changes)))


@pytest.mark.parametrize(("mean", "status", "word"), [(1.1, 1, "WORSE"), (1.0, 0, "pass"), (0.8, 0, "pass")])
def test_a_run_against_a_baseline(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], mean: float, status: int, word: str
) -> None:
    assert main(["compare", before, now(tmp_path, mean), RULE]) == status
    assert capsys.readouterr().out.startswith(word)


@pytest.mark.parametrize(("word", "status"), [("pass", 0), ("fail", 1), ("skip", 125)])
def test_not_sure_has_an_exit_status_that_bisect_understands(
    before: str, tmp_path: Path, word: str, status: int
) -> None:
    assert main(["compare", before, now(tmp_path, 1.01, 0.03), RULE, f"--inconclusive={word}"]) == status


def test_another_gpu_model_fails(before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", before, now(tmp_path, 1.0, devices=(device("G", "NVIDIA H100"),)), RULE]) == 1
    assert "another GPU model" in capsys.readouterr().out


def test_for_programs_and_pull_requests(before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.md"
    assert main(["compare", before, now(tmp_path, 1.1), RULE, "--json", f"--md={table}"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["comparisons"][0]["cycles_now"]) == ("fail", 5)
    assert "❌" in table.read_text()


def test_annotations(before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", before, now(tmp_path, 1.1), RULE, "--annotations"])
    assert "\n::error title=" in capsys.readouterr().out


def test_what_cannot_be_read_is_no_regression(before: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", before, "nowhere.json"]) == 2
    assert "there is no such baseline" in capsys.readouterr().err


def test_runs_of_the_same_code_teach_the_noise_of_a_gpu(before: str, tmp_path: Path, own_cache: Path) -> None:
    later = cycles(noisy(1.0), finished_at="2026-01-02T00:00:00.000Z")
    assert main(["compare", before, str(write_run(tmp_path / "run", later)), "--same-code"]) == 0
    (known,) = (own_cache / "pytest-llem" / "noise").glob("*.json")
    groups = json.loads(known.read_text())["groups"]
    assert all(session["repeats"] for group in groups for session in group["sessions"])
    assert {len(group["sessions"]) for group in groups} == {2}


def test_report_shows_a_run_and_writes_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, files = now(tmp_path, 1.0), {name: tmp_path / name for name in ("b.json", "graph.json", "t.md")}
    told = [f"--baseline={files['b.json']}", f"--benchmark-json={files['graph.json']}", f"--md={files['t.md']}"]
    assert main(["report", run, *told]) == 0
    shown = capsys.readouterr().out
    assert shown.count("pytorch-bs1-c") == 5
    (row,) = json.loads(files["graph.json"].read_text())
    assert (row["name"], row["unit"]) == ("study[pytorch-bs1] energy_per_output_token_j", "J")
    assert "| experiment |" in files["t.md"].read_text()
    assert main(["compare", str(files["b.json"]), run, RULE]) == 0


def test_report_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", now(tmp_path, 1.0), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["studies"][0]["results"]) == 5
    assert told["comparison"] is None


def test_a_baseline_has_the_name_that_it_was_saved_under(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = now(tmp_path, 1.0)
    assert main(["compare", "main", run, RULE]) == 2
    kept = Path("llem-results", "baselines", "main.json")
    kept.parent.mkdir(parents=True)
    Path(before).rename(kept)
    assert main(["compare", "main", run, RULE]) == 0


def test_a_report_calls_inconclusive_what_the_run_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    undecided = Verdict(metric="energy_j", max=1.0, value=1.0, outcome="inconclusive")
    assert main(["report", now(tmp_path, 1.0, verdicts=(undecided,))]) == 0
    table = capsys.readouterr().out
    assert "inconclusive" in table
    assert "passed" not in table


def test_report_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "there is no run here" in capsys.readouterr().err


def test_a_run_in_which_something_failed_does_not_pass(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(now(tmp_path, 1.0))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["cells"][0].update(status="failed", result=None)
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert main(["compare", before, str(run), RULE]) == 1
    assert "these have no result in " in capsys.readouterr().err
