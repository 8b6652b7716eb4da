"""What the documentation tells a newcomer to do, done: the first measurement, Python, the examples; on the CPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FAST, SOURCE, load_plugin
from tests.docs.pages import DOCS, ROOT, fenced

pytestmark = pytest.mark.slow
SHORT = f"llem: 1\nmodel: tiny\ndataset: {{n: 2, input_tokens: 8}}\nmax_output_tokens: 4\n{FAST}\n"


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: None) -> Path:
    """An empty folder, in which nothing is set but the power meter that every machine has."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    return tmp_path


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=400)


def run_pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "pytest", *load_plugin(), "--llem-lock-dir=locks", "-p", "no:cacheprovider", *arguments)


def blocks(page: Path, having: str) -> list[str]:
    found = [text for _, text in fenced(page, "python") if having in text]
    assert found
    return found


def test_the_first_measurement(walk: Path) -> None:
    page = DOCS / "first-measurement.md"
    (study,) = (text for _, text in fenced(page, "yaml"))
    Path("studies/first.yaml").write_text(study)
    done = run_pytest("studies/")
    assert done.returncode == 0, done.stdout
    for said in ("energy: first", "passed (ESTIMATED)", "ESTIMATED: no power meter was used; see `llem doctor`"):
        assert said in done.stdout
    (folder,) = Path("llem-results").glob("first-*")
    there = {path.name for path in folder.rglob("*") if path.is_file()} | {path.name for path in folder.iterdir()}
    (listing,) = (text for _, text in fenced(page, "text") if "manifest.json" in text)
    assert {name for name in listing.split()[1:] if name != "…"} <= {*there, *(f"{name}/" for name in there)}
    broken = run_pytest("studies/", "-k", "bs1", "--llem-budget", "energy_per_output_token_j<=1 mJ")
    assert broken.returncode == 1
    assert "FAIL       energy_per_output_token_j <= 1.00 mJ" in broken.stdout


def test_tests_in_python(walk: Path) -> None:
    for number, text in enumerate([*blocks(ROOT / "README.md", "def test_"), *blocks(DOCS / "python.md", "def test_")]):
        Path(f"test_block{number}.py").write_text(text)
    done = run_pytest("-k", "not (block1 and batching)")  # which is nearly that of the README
    assert done.returncode == 0, done.stdout
    assert " 4 passed" in done.stdout


def test_scripts_in_python(walk: Path) -> None:
    Path("studies/batching.yaml").write_text(SHORT + "sweep: {pytorch.batch_size: [1, 2]}\n")
    scripts = [*blocks(DOCS / "python.md", "load_study"), *blocks(DOCS / "python.md", "run_study")]
    for text in [*scripts, *blocks(DOCS / "results.md", "read_result")]:
        done = run("-c", text)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert done.stdout.count("pytorch-bs") >= 2


def test_the_example_of_a_benchmark(walk: Path) -> None:
    shutil.copy(ROOT / "examples" / "test_benchmark.py", ".")
    done = run_pytest("test_benchmark.py")
    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout


def test_the_quickstart_is_measured(walk: Path) -> None:
    shutil.copytree(ROOT / "examples" / "quickstart", "quickstart")
    done = run_pytest("quickstart", "-k", "bs4 and out16")
    assert done.returncode == 0, done.stdout
    assert " 1 passed" in done.stdout
