"""What every pytest run of every project pays for having the plugin installed: next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SOURCE, load_plugin

HEAVY = ("pydantic", "yaml", "pynvml", "docker", "torch", "transformers", "vllm", "numpy", "filelock", "rich")


def heavy_after(code: str, folder: Path) -> str:
    tell = f"import sys; print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}\n{tell}"],
        cwd=folder,
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))


@pytest.mark.parametrize("module", ["pytest_llem", "pytest_llem.plugin", "pytest_llem.cli"])
def test_importing_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    assert heavy_after(f"import {module}", tmp_path) == "LOADED []"


def test_a_run_without_studies_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text("def test_plain(): pass\n")
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    run = f"import pytest; assert pytest.main(['-q', '-p', 'no:cacheprovider', *{load_plugin()}]) == 0"
    assert heavy_after(run, tmp_path) == "LOADED []"


def test_the_commands_that_only_tell_import_nothing_heavy(tmp_path: Path) -> None:
    code = """
from pytest_llem.cli import main
for arguments in (["--version"], ["--help"], ["run", "--help"]):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 0
"""
    assert heavy_after(code, tmp_path) == "LOADED []"
