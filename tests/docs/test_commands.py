"""Every command in the documentation is run here, or at least understood by the program that it is for."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_llem.cli import _parser, main
from pytest_llem.results.baseline import write_baseline
from tests.conftest import load_plugin
from tests.docs.pages import DOCS, ROOT, fenced
from tests.results.runs import cycles, noisy, run, write_run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
NOT_HERE = {
    "cd": "a step of the reader's",
    "sudo": "changes the machine",
    "docker": "needs an engine",
    "hf": "needs the network",
}
NOT_RUN = {"ab": "checks a revision out and measures both: tests/commands/test_ab.py"}
OLD = "study_name: old\nserving_mode: offline\ntask: {model: tiny}\nsweep: {transformers.batch_size: [1]}\n"


class Command(NamedTuple):
    page: Path
    line: int
    words: tuple[str, ...]
    output: tuple[str, ...]


def _commands() -> list[Command]:
    """The commands of all console blocks, each once, with the output that the page shows below it."""
    found: dict[tuple[tuple[str, ...], Path | None], Command] = {}
    for page in PAGES:
        for line, block in fenced(page, "console"):
            for shown in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
                text, *output = shown.splitlines()
                for one in re.split(r"(?<= )&&(?= git| llem)", text):
                    words = tuple(shlex.split(one, comments=True))
                    found.setdefault((words, page if output else None), Command(page, line, words, tuple(output)))
    return list(found.values())


COMMANDS = _commands()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the commands speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("energy/baseline.json", "energy-now.json", "main.json", "llem-results/baselines/main.json"):
        write_baseline(tmp_path / name, run(noisy(1.0)))
    write_run(tmp_path / "llem-results/RUN", cycles(noisy(1.0)))
    (tmp_path / "llem-results/RUN/CELL").mkdir()
    trace = DOCS / "evidence/h200/llama-1b/pytorch-bs64/trace.json.gz"
    shutil.copy(trace, tmp_path / "llem-results/RUN/CELL/trace.json.gz")
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "studies").mkdir()
    return tmp_path


def _study_of(page: Path) -> str:
    """The page's first study; the README's where it has none."""
    for source in (page, ROOT / "README.md"):
        for _, text in fenced(source, "yaml"):
            if text.startswith("llem: 1"):
                return text
    raise AssertionError(page)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words)[:60])
def test_a_command_does_what_the_page_says(command: Command, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = command.words
    name = "first.yaml" if "first" in command.page.stem else "batching.yaml"
    if command.words[:2] != ("llem", "import"):
        (desk / "studies" / ("new.yaml" if "studies/new.yaml" in arguments else name)).write_text(
            _study_of(command.page)
        )
    match program:
        case "llem":
            _llem(arguments, command.output, capsys)
        case "git":
            assert arguments[0] in ("bisect", "clone")
            if "llem" in arguments:
                _parser().parse_args(arguments[arguments.index("llem") + 1 :])
        case "pytest":
            _collects(arguments)
        case ".venv/bin/pytest":
            assert (ROOT / arguments[0]).exists()
        case "python":
            done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == list(command.output)
        case "make":
            assert re.search(rf"^{arguments[0]}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "pip":
            _has_extras(arguments)
        case "docker/build.sh":
            usage = (ROOT / program).read_text().partition("set -euo")[0]
            assert (ROOT / "docker" / f"{arguments[0]}.Dockerfile").is_file()
            assert {word for word in arguments if word.startswith("--")} <= set(re.findall(r"--[a-z]+", usage))
        case _:
            assert program in NOT_HERE


def _llem(arguments: Sequence[str], output: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    parsed = _parser().parse_args(arguments)
    if arguments[0] in NOT_RUN:
        return
    status = main(arguments)
    printed = capsys.readouterr().out.splitlines()
    assert status == 0 or (parsed.command, status) == ("doctor", 1), printed
    assert [line for line in output if line in printed] == [line for line in output if line.strip() != "…"]


def _collects(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pytest", *load_plugin(), *arguments, "--collect-only", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    nothing_left = 5 if "-k" in arguments or "-m" in arguments else 0  # pages select from studies of the reader's
    assert done.returncode in (0, nothing_left), done.stdout + done.stderr


def _has_extras(arguments: Sequence[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [name for word in arguments for name in re.findall(r"pytest-llem\[([\w,]+)\]", word)]
    assert set(",".join(named).split(",")) <= {*extras, ""}


def test_nothing_is_excused_in_vain() -> None:
    assert NOT_HERE.keys() <= {command.words[0] for command in COMMANDS}
    assert NOT_RUN.keys() <= {command.words[1] for command in COMMANDS if command.words[0] == "llem"}
