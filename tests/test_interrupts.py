"""Ctrl-C, SIGTERM and SIGKILL of a run of studies: what is written stays, nothing is left, it can be gone on with."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from pytest_llem.cli import main
from pytest_llem.results.store import read_result
from tests.conftest import FAST, Studies
from tests.live_runs import LiveRun, manifest_parses

SLOW = f"""\
llem: 1
name: slow
model: none
backend: instant
{FAST}
instant: {{seconds: 30}}
sweep:
  instant.seconds: [0, 30, 31]
"""


def in_the_second_cell(run: LiveRun) -> None:
    run.until(lambda: run.statuses()[:2] == ["passed", "running"] and run.workers())
    run.until(lambda: any(run.temporary.glob("llem-*/exchange/job-1.json")))
    time.sleep(0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_orderly(studies: Studies, number: signal.Signals) -> None:
    studies.write(SLOW)
    run = LiveRun(studies)
    in_the_second_cell(run)
    begin = time.monotonic()
    if number is signal.SIGINT:
        run.send(number)
    else:
        run.process.send_signal(number)
    assert run.end(20) == pytest.ExitCode.INTERRUPTED
    assert time.monotonic() - begin < 8
    assert run.nothing_left(1)
    assert run.folders_left() == []
    assert run.statuses() == ["passed", "interrupted", "pending"]
    assert studies.manifest()["status"] == "interrupted"
    said = run.said()
    assert "energy: slow" in said
    assert "2 of 3 experiments were not run; --llem-resume goes on with them" in said
    assert "INTERNALERROR" not in said


def test_a_signal_before_the_first_result_tells_how_to_go_on(studies: Studies) -> None:
    studies.write(SLOW.replace("[0, 30, 31]", "[30, 31]"))
    run = LiveRun(studies)
    run.until(lambda: "running" in run.statuses() and run.workers())
    run.send(signal.SIGINT)
    assert run.end(20) == pytest.ExitCode.INTERRUPTED
    assert "2 of 2 experiments were not run; --llem-resume goes on with them" in run.said()


def test_two_signals_end_at_once(studies: Studies) -> None:
    studies.write(SLOW)
    run = LiveRun(studies)
    in_the_second_cell(run)
    begin = time.monotonic()
    run.send(signal.SIGINT)
    time.sleep(0.1)
    run.send(signal.SIGINT)
    assert run.end(20) != 0
    assert time.monotonic() - begin < 5
    assert run.nothing_left(3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_one_signal_ends_an_xdist_run(studies: Studies, number: signal.Signals) -> None:
    """Ctrl-C comes from the terminal, to all; the others come to pytest alone."""
    studies.write(SLOW)
    run = LiveRun(studies, "-n2")
    run.until(lambda: "running" in run.statuses() and run.workers())
    time.sleep(1)
    if number is signal.SIGINT:
        run.send(number)
    else:
        run.process.send_signal(number)
    code = run.end(40)
    assert run.nothing_left(15), run.processes()
    if number is not signal.SIGKILL:
        assert code == pytest.ExitCode.INTERRUPTED
        assert "running" not in run.statuses()


def test_llem_run_tells_an_interrupt_by_its_exit_status(
    studies: Studies, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    studies.write(SLOW)
    studies.pytester.makeconftest("def pytest_collection_finish(): raise KeyboardInterrupt")
    monkeypatch.chdir(studies.pytester.path)
    assert main(["run", "study.yaml", "-p", "no:cacheprovider"]) == 130


TWENTY = f"""\
llem: 1
name: instant
model: none
backend: instant
{FAST}
instant: {{seconds: 0.1}}
sweep:
  max_output_tokens: [{", ".join(str(n) for n in range(1, 21))}]
"""


def tiny(study: str) -> str:
    """The same on a real model."""
    return (
        study.replace("instant: {seconds: 0.1}", "dataset: {n: 1, input_tokens: 4}")
        .replace("instant", "pytorch")
        .replace("model: none", "model: tiny")
    )


def crash_and_resume(studies: Studies, kills: int, seed: int, model: str = "none", cell_s: float = 1.0) -> None:
    """Kill a study of 20 cells at random moments and go on each time; then everything must be there once.

    ``cell_s``: about what a cell takes; the later kills leave time for some."""
    studies.write(TWENTY if model == "none" else tiny(TWENTY))
    chance = random.Random(seed)
    run = LiveRun(studies)
    for number in range(kills):
        # the first kills come while it starts, the others anywhere in the time that the cells take
        time.sleep(chance.uniform(0.0, 1.5 if number < kills // 3 else 4.0 * cell_s))
        how = chance.choice(["group", "controller", "worker"])
        if how == "worker":
            for pid in run.workers():
                os.kill(pid, signal.SIGKILL)
            continue  # its item fails; the run goes on
        if how == "group":
            run.send(signal.SIGKILL)
        else:
            run.process.kill()
        run.end()
        assert run.nothing_left(), f"after a kill of the {how}: {run.processes()}"
        run = LiveRun(studies, *(["--llem-resume"] if unfinished(studies) else []))
    run.end(120 * cell_s)
    if unfinished(studies):  # cells whose worker was killed
        run = LiveRun(studies, "--llem-resume")
        assert run.end(120 * cell_s) == 0, run.said()
    assert run.nothing_left()
    check_complete(studies)
    assert run.folders_left() == [], "what a killed run left is swept by the next"


def unfinished(studies: Studies) -> bool:
    return any(set(entry.values()) - {"passed"} for entry in all_statuses(studies))


def all_statuses(studies: Studies) -> list[dict[str, str]]:
    import json

    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in studies.runs()]
    return [{entry["cell_id"]: entry["status"] for entry in manifest["cells"]} for manifest in manifests]


def check_complete(studies: Studies) -> None:
    complete = [folder for folder in studies.runs() if len(list(folder.glob("*/result.json"))) == 20]
    assert complete, all_statuses(studies)
    for folder in studies.runs():
        assert manifest_parses(folder)
        for path in folder.glob("*/result.json"):
            read_result(path)
        assert [path for path in folder.rglob(".*") if path.name != ".lock" and not is_torn(path)] == []
    backend = complete[-1].name.partition("-")[0]
    undisturbed = {f"{backend}-out{n}" for n in range(1, 21)}
    assert {path.parent.name for path in complete[-1].glob("*/result.json")} == undisturbed


def is_torn(path: Path) -> bool:
    """A temporary file that a kill left: never under a result's own name."""
    written = ("result.json", "manifest.json", "config.json", "trace.json.gz", "environment.json", "study.yaml")
    return path.name.startswith((*(f".{name}." for name in written), ".first-"))


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again(studies: Studies) -> None:
    crash_and_resume(studies, kills=8, seed=4)


@pytest.mark.slow
@pytest.mark.skipif("not __import__('os').environ.get('LLEM_CI')", reason="takes minutes; set LLEM_CI=1")
def test_a_study_of_a_real_model_that_is_killed_thirty_times(studies: Studies) -> None:
    crash_and_resume(studies, kills=30, seed=1, model="tiny", cell_s=1.5)
