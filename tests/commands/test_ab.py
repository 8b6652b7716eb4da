"""``llem ab``: two trees in turn; exit statuses for ``git bisect run``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pytest_llem.cli import main
from tests.conftest import FAST, Studies

STUDY = f"llem: 1\nname: turns\nmodel: none\nbackend: instant\n{FAST}\n"
SLOWER = """
from dataclasses import replace

def pytest_llem_modify_cells(cells):
    cells[:] = [replace(c, config=c.config.model_copy(update={"options": {"seconds": 0.05}})) for c in cells]
"""
SETTINGS = "--llem-meter=cpu-estimate --llem-lock-dir={}"


def git(*arguments: str) -> None:
    author = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    subprocess.run(["git", *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(studies: Studies, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study under version control, and the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    studies.write(STUDY, "bench/study.yaml")
    monkeypatch.chdir(studies.pytester.path / "bench")
    git("init", "--quiet", ".")
    git("add", "study.yaml")
    git("commit", "--quiet", "-m", "a study")
    return Path.cwd()


def ab(repository: Path, locks: Path, *arguments: str) -> int:
    same = SETTINGS.format(locks)
    told = [f"--before-args={same}", f"--now-args={same}", "--fail-on=e2el_s:50%", *arguments]
    return main(["ab", "HEAD", "study.yaml", *told])


@pytest.mark.slow
def test_what_got_slower_since_a_revision_is_bad(
    repository: Path, studies: Studies, capfd: pytest.CaptureFixture[str]
) -> None:
    (repository / "conftest.py").write_text(SLOWER)
    assert ab(repository, studies.locks, "--cycles=3", "--md=table.md") == 1
    assert "WORSE         turns[instant] e2el_s" in capfd.readouterr().out
    (results,) = (repository / "llem-results").glob("ab-*")
    turns = {side: [m["started_at"] for m in _manifests(results / side)] for side in ("before", "now")}
    order = sorted((time, side) for side, times in turns.items() for time in times)
    assert [side for _, side in order] == ["before", "now", "now", "before", "before", "now"]
    listed = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1, "the other tree is gone"
    assert (repository / "table.md").exists()


def _manifests(folder: Path) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in folder.glob("*/manifest.json")]


def test_one_turn_of_each_decides_nothing(repository: Path, studies: Studies) -> None:
    assert ab(repository, studies.locks, "--cycles=1", "--setup=touch made") == 125
    assert (repository / "made").exists()


def test_a_folder_that_was_not_there_is_told(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (repository / "new").mkdir()
    monkeypatch.chdir(repository / "new")
    assert main(["ab", "HEAD", "study.yaml"]) == 125
    assert "HEAD has no folder new" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ab", "nothing", "study.yaml"), "git worktree"),
        (("ab", "HEAD", "study.yaml", "--setup=false"), "--setup ended with 1"),
        (("ab", "HEAD", "nowhere.yaml"), "pytest ended with 4"),
    ],
)
def test_what_cannot_be_measured_cannot_be_judged(
    repository: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(arguments) == 125
    assert message in capfd.readouterr().err
