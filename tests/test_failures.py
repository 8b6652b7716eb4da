"""What a worker that goes wrong does to its own item, and that it does nothing to any other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_llem.results.store import read_result
from tests.conftest import FAST, Studies

WRONG = f"""\
llem: 1
name: wrong
model: none
backend: instant
{FAST}
execution: {{timeout_s: 3}}
sweep:
  instant.behaviour: [fine, fail, kill, hang, chatty, crash_on_close, good]
"""


def processes_of(folder: Path) -> list[str]:
    """The command lines of living processes that were started in or below ``folder``, or on behalf of it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in text:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def temporary(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of what runs here; marks all its processes, too."""
    folder = studies.pytester.path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_each_failure_is_that_of_its_own_item(studies: Studies, temporary: Path) -> None:
    studies.write(WRONG)
    result = studies.run("-v")
    result.assert_outcomes(passed=4, failed=3)
    assert result.ret == 1
    assert studies.statuses() == {
        "instant-behaviour-fine": "passed",
        "instant-behaviour-fail": "failed",
        "instant-behaviour-kill": "failed",
        "instant-behaviour-hang": "failed",
        "instant-behaviour-chatty": "passed",
        "instant-behaviour-crash_on_close": "passed",
        "instant-behaviour-good": "passed",
    }
    result.stdout.fnmatch_lines_random(
        [
            "the instant backend was told to fail",
            "*hint: take the option away",
            "the worker ended without a result: killed by SIGKILL*",
            "the experiment took more than 3 s*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert "blah blah" not in result.stdout.str()
    errors = {entry["cell_id"]: entry["error_type"] for entry in studies.manifest()["cells"] if entry["error_type"]}
    assert errors == {
        "instant-behaviour-fail": "BackendError",
        "instant-behaviour-kill": "WorkerCrashed",
        "instant-behaviour-hang": "WorkerTimeout",
    }
    (folder,) = studies.runs()
    assert "the end of much talk" in (folder / "instant-behaviour-chatty" / "worker.log").read_text()
    assert "told to fail" in (folder / "instant-behaviour-fail" / "worker.log").read_text(), "its own traceback is kept"
    passed = {cell for cell, status in studies.statuses().items() if status == "passed"}
    assert set(studies.results()) == passed
    assert processes_of(temporary) == []
    assert [path.name for path in temporary.glob("llem-*")] == []


def test_the_last_lines_of_a_dead_workers_log_are_shown(studies: Studies) -> None:
    studies.write(f"llem: 1\nname: odd\nmodel: none\nbackend: instant\n{FAST}\ninstant: {{behaviour: chatty_kill}}\n")
    result = studies.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*killed by SIGKILL*", "*last lines of the worker's log:", "*| the end of much talk"])


def test_a_time_limit_from_the_command_line_and_a_silent_worker(studies: Studies) -> None:
    text = f"llem: 1\nname: slow\nmodel: none\nbackend: instant\n{FAST}\ninstant: {{behaviour: hang}}\n"
    studies.write(text, "limit.yaml")
    result = studies.run("--llem-timeout=1", "limit.yaml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["the experiment took more than 1 s*", "*hint: raise execution.timeout_s*"])
    studies.write(text + "execution: {silence_timeout_s: 1}\n", "silence.yaml")
    result = studies.run("silence.yaml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["the worker said nothing for 1 s*"])


def test_results_that_cannot_be_written_are_a_usage_error(studies: Studies) -> None:
    studies.write(f"llem: 1\nname: plain\nmodel: none\nbackend: instant\n{FAST}\n")
    (studies.pytester.path / "occupied").write_text("a file, not a folder")
    result = studies.run("--llem-results=occupied")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *occupied*cannot be made*", "*--llem-results*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_results_below_spaces_and_unicode_in_the_c_locale(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    studies.write(f"llem: 1\nname: plain\nmodel: none\nbackend: instant\n{FAST}\n", "été 1/plän.yaml")
    result = studies.run("--llem-results=with späces/наука", "été 1/plän.yaml")
    assert result.ret == 0
    assert len(list(studies.pytester.path.glob("with späces/наука/plain-*/*/result.json"))) == 1


def test_a_locale_without_unicode(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a terminal in Latin-1 is: Python itself turns C into UTF-8, unless told not to."""
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    studies.write(f"llem: 1\nname: plain\nmodel: none\nbackend: instant\n{FAST}\n", "plain.yaml")
    assert studies.run("plain.yaml", "--llem-results=rés").ret == 0
    (folder,) = studies.pytester.path.glob("rés/plain-*")
    code = "import sys; from pytest_llem.cli import main; sys.exit(main())"
    for arguments in (
        ["plan", "plain.yaml"],
        ["run", "--help"],
        ["report", folder],
        ["replay", *folder.glob("*/trace*")],
    ):
        done = studies.pytester.run(sys.executable, "-c", code, *arguments)
        assert (done.ret, done.errlines) == (0, [])


SET_BACK = """
import datetime, os, time

true_time, Datetime = time.time, datetime.datetime

def set_back():
    return true_time() - (3600 if os.path.exists(os.environ["SET_BACK"]) else 0)

class Wrong(Datetime):
    @classmethod
    def now(cls, tz=None):
        return Datetime.fromtimestamp(set_back(), tz)

time.time, datetime.datetime = set_back, Wrong
"""
IN_THE_SECOND = """
import os, pathlib

def pytest_llem_experiment_start(cell):
    if cell.id.endswith("out2"):
        pathlib.Path(os.environ["SET_BACK"]).touch()
"""


def test_a_clock_that_is_set_back_during_a_run(
    studies: Studies, instant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every process of the run, an hour back from the second experiment on."""
    monkeypatch.setenv("SET_BACK", str(studies.pytester.path / "set-back"))
    (instant / "sitecustomize.py").write_text(SET_BACK)
    studies.pytester.makeconftest(IN_THE_SECOND)
    sweep = "sweep: {max_output_tokens: [1, 2, 3]}"
    studies.write(f"llem: 1\nname: back\nmodel: none\nbackend: instant\n{FAST}\n{sweep}\n")
    assert studies.run("-x").ret == 0
    assert (studies.pytester.path / "set-back").exists()
    times = [entry[key] for entry in studies.manifest()["cells"] for key in ("started_at", "finished_at")]
    assert times == sorted(times)
    assert studies.manifest()["started_at"] <= times[0] <= times[-1] <= studies.manifest()["finished_at"]
    for result in studies.results().values():
        assert result["started_at"] <= result["finished_at"]
        assert result["duration_s"] > 0
        assert result["validity"]["valid"]
    (folder,) = studies.runs()
    (folder / "instant-out3" / "result.json").unlink()
    assert studies.run(f"--llem-resume={folder.name}").ret == 0, "though it was begun later than it is now"
    assert sorted(studies.results()) == ["instant-out1", "instant-out2", "instant-out3"]


@pytest.fixture
def small_disk(studies: Studies) -> Iterator[Path]:
    """A file system that is soon full."""
    place = studies.pytester.path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_and_costs_nothing_that_was_written(studies: Studies, small_disk: Path) -> None:
    cycles = "execution: {cycles: 9, max_consecutive_failures: 3}"
    studies.write(f"llem: 1\nname: many\nmodel: none\nbackend: instant\n{FAST}\n{cycles}\n")
    result = studies.run("--llem-results=small/r")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*cannot be written: No space left on device", "*hint: free some space *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    written = list(small_disk.glob("r/*/*/result.json"))
    assert len(written) == result.parseoutcomes()["passed"] > 0
    for path in written:
        read_result(path)
    assert list(small_disk.glob("r/*/.manifest*")) == [], "no half-written file is left"
    subprocess.run(["mount", "-o", "remount,size=10m", small_disk], check=True)
    assert studies.run("--llem-results=small/r", "--llem-resume").ret == 0
    assert len(list(small_disk.glob("r/*/*/result.json"))) == 9


def test_a_folder_for_results_that_is_read_only_is_a_usage_error(studies: Studies, small_disk: Path) -> None:
    studies.write(f"llem: 1\nname: plain\nmodel: none\nbackend: instant\n{FAST}\n")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    result = studies.run("--llem-results=small")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *small/plain-*: cannot be made: Read-only file system"])
