"""What shells make of the completion scripts: the shells themselves are asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llem.cli import main
from pytest_llem.flags import OPTIONS
from tests.conftest import CI

Ask = Callable[..., list[str]]
_BASH = """\
source {script}
COMP_WORDS=({words} "$1"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE="${{COMP_WORDS[*]}}"
_shtab_llem llem "$1" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks a shell what may stand in place of the last word."""
    pytest.importorskip("shtab")

    def completions(shell: str, *words: str) -> list[str]:
        if shutil.which(shell) is None:
            assert not CI, f"{shell} is missing"
            pytest.skip(f"{shell} is not installed")
        script = tmp_path / f"llem.{shell}"
        assert main(["completion", shell]) == 0
        script.write_text(capsys.readouterr().out)
        if shell == "bash":
            command = _BASH.format(script=script, words=" ".join(words[:-1]))
            arguments = ["bash", "-c", command, "bash", words[-1]]
        elif shell == "fish":
            arguments = ["fish", "-c", f"source {script}; complete -C '{' '.join(words)}'"]
        else:
            arguments = ["zsh", "-c", f'compdef() {{}}; eval "$(<{script})"; print -l $_shtab_llem_run_options']
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path)
        assert done.stderr == ""
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]

    return completions


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_commands_options_and_values_are_completed(ask: Ask, shell: str, tmp_path: Path) -> None:
    assert ask(shell, "llem", "comp") == ["compare", "completion"]
    assert ask(shell, "llem", "run", "--llem-bus") == ["--llem-busy"]
    assert {option.flag for option in OPTIONS} <= set(ask(shell, "llem", "run", "--llem-"))
    assert sorted(ask(shell, "llem", "run", "--llem-busy", "")) == ["fail", "wait", "warn"]
    (tmp_path / "batching.yaml").touch()
    assert ask(shell, "llem", "plan", "batch") == ["batching.yaml"]


def test_zsh_reads_its_script(ask: Ask) -> None:
    """It completes for a person only, and there by this list."""
    assert any(line.startswith("--llem-busy[") and line.endswith(":(warn fail wait)") for line in ask("zsh"))


def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'pytest-llem[completion]'" in capsys.readouterr().err
