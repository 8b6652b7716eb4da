"""The backend, the meter and the hooks on the page about extending work as they stand there."""

from __future__ import annotations

import ast
import inspect
import json
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_llem import hookspecs
from tests.conftest import Studies
from tests.docs.pages import DOCS, fenced

PAGE = DOCS / "extending.md"
STUDY = """\
llem: 1
model: none
backend: mirror
mirror: {polish: true}
dataset: {n: 3, input_tokens: 8}
max_output_tokens: 4
measure: {warmup: 0, repeats: 1, min_window_s: 0.3}
sweep:
  max_output_tokens: [4, 512]
"""


def _files() -> dict[str, str]:
    """The page's Python blocks by the file name in their first line."""
    blocks = [text for _, text in fenced(PAGE, "python")]
    return {text.partition("\n")[0].removeprefix("# "): text for text in blocks}


@pytest.fixture
def page_package(instant: Path) -> Path:
    """The page's backend and meter, as an installer would leave them."""
    for name in ("mirror.py", "hwmon.py"):
        (instant / name).write_text(_files()[name])
    points = [tomllib.loads(text)["project"]["entry-points"] for _, text in fenced(PAGE, "toml")]
    metadata = instant / "page-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: page\nVersion: 1\n")
    lines = [
        f"[{group}]\n{name} = {target}\n"
        for found in points
        for group, entries in found.items()
        for name, target in entries.items()
    ]
    (metadata / "entry_points.txt").write_text("".join(lines))
    return instant


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A board that draws 50 W."""
    file, over = tmp_path / "energy1_input", threading.Event()

    def tick() -> None:
        while not over.wait(0.005):
            fresh = file.with_suffix(".new")
            fresh.write_text(str(int(50e6 * time.monotonic())))
            fresh.replace(file)

    file.write_text(str(int(50e6 * time.monotonic())))
    monkeypatch.setenv("HWMON_ENERGY", str(file))
    thread = threading.Thread(target=tick)
    thread.start()
    yield
    over.set()
    thread.join()


def test_the_page_runs(page_package: Path, counter: None, studies: Studies) -> None:
    studies.write(STUDY)
    studies.write(_files()["conftest.py"], "conftest.py")
    done = studies.run("--llem-meter=hwmon")
    done.assert_outcomes(passed=1)
    (result,) = studies.results().values()
    assert (result["energy_source"], result["measured"], result["model_device"]) == ("hwmon", True, "cpu")
    assert result["validity"]["valid"], result["validity"]
    assert result["mean_power_w"] == pytest.approx(50, rel=0.2)
    (folder,) = studies.runs()
    assert "rack" in json.loads((folder / "environment.json").read_text())["added"]
    assert (studies.pytester.path / "figures.csv").read_text().startswith(result["cell_id"])
    assert (studies.pytester.path / "last-run.txt").read_text() == f"study {folder}\n"


def test_every_hook_is_on_the_page_with_its_parameters() -> None:
    tree = ast.parse(_files()["conftest.py"])
    there = {node.name: [a.arg for a in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
    specified = {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if name.startswith("pytest_llem_")
    }
    assert there == specified


@pytest.mark.parametrize("name", ["mirror.py", "hwmon.py", "conftest.py"])
def test_each_is_short(name: str) -> None:
    assert len([line for line in _files()[name].splitlines() if line.strip()]) <= 45
