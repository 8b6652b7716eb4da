"""The CI files in ``examples/ci``: well formed, options that exist, and what needs no GPU does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llem.cli import main
from pytest_llem.flags import OPTIONS
from pytest_llem.results.baseline import make_baseline, write_baseline
from tests.results.runs import cycles, noisy, write_run

FOLDER = Path(__file__).parents[1] / "examples" / "ci"
FILES = sorted(FOLDER.rglob("*.yml"))


def commands(path: Path) -> list[list[str]]:
    """Every command of the jobs, its variables filled in."""
    text = yaml.safe_load(path.read_text())
    values = {**text.get("env", {}), **text.get("variables", {}), "GITHUB_STEP_SUMMARY": "summary.md"}
    lines = [line for script in _scripts(text) for line in script.splitlines()]
    filled = [re.sub(r"\$(\w+)", lambda found: values.get(found[1], found[0]), line) for line in lines]
    return [shlex.split(line) for line in filled]


def _scripts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, below in node.items():
            if key in ("run", "script"):
                yield from [below] if isinstance(below, str) else below
            else:
                yield from _scripts(below)
    elif isinstance(node, list):
        for below in node:
            yield from _scripts(below)


def named(path: Path, program: str, *first: str) -> list[str]:
    (found,) = (c for c in commands(path) if c[0].endswith(program) and c[1 : 1 + len(first)] == list(first))
    return found[1:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_options_of_the_measurement_exist(path: Path) -> None:
    used = {argument.partition("=")[0] for argument in named(path, "pytest") if argument.startswith("--llem")}
    assert {"--llem-save", "--llem-require-measured"} <= used <= {option.flag for option in OPTIONS}


@pytest.mark.parametrize(("mean", "status"), [(1.0, 0), (1.1, 1)])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_recorded_results_are_judged_without_a_gpu(
    path: Path, mean: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_baseline(tmp_path / "energy" / "baseline.json", make_baseline(cycles(noisy(1.0, seed=1))))
    write_baseline(tmp_path / "energy-now.json", make_baseline(cycles(noisy(mean))))
    assert main(named(path, "llem", "compare")) == status
    assert list(tmp_path.glob("*.md"))


def test_the_chart_takes_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [write_run(tmp_path / "llem-results" / name, cycles(noisy(1.0), name)) for name in ("a", "b")]
    (workflow,) = FOLDER.glob("github/*.yml")
    arguments = [str(run) for run in runs], [a for a in named(workflow, "llem", "report") if "*" not in a]
    assert main([arguments[1][0], *arguments[0], *arguments[1][1:]]) == 0
    assert (tmp_path / "chart.json").read_text().count('"name"') == 2
