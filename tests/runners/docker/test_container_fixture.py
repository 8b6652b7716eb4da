"""The ``llem_container`` fixture, in a pytest of its own on a real engine."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import load_plugin

from .helpers import SOURCE

pytestmark = pytest.mark.docker
TESTS = """
import pathlib

names = []

def test_looks_around(llem_container):
    container = llem_container("pytorch")
    names.append(container.name)
    answer = container.run("python3", "-c", "import os; print(os.getuid() or os.listdir('/proc/self/task'))")
    assert answer.status == 0, answer.output
    (container.folder / "from-here").write_text("hello")
    assert container.run("cat", "from-here").output == "hello"
    assert container.run("sh", "-c", "echo no > /etc/file").status != 0

def test_is_another(llem_container):
    container = llem_container("pytorch")
    assert container.name not in names

def test_shares(llem_container):
    one = llem_container("pytorch", scope="session")
    names.append(one.name)
    assert llem_container("pytorch", scope="session") is one

def test_shares_with_the_test_before(llem_container):
    assert llem_container("pytorch", scope="session").name == names[-1]

def test_fails(llem_container):
    answer = llem_container("pytorch").run("python3", "-c", "import sys; print('the container speaks'); sys.exit(3)")
    assert answer.status == 0

def test_needs_an_image(llem_container):
    llem_container("vllm")
"""


def run_tests(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *load_plugin(), "-p", "no:cacheprovider", "-v", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def done(make_image: Any, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    image = make_image("busy", protocol="1", schema="1", cuda="none")
    missing = f"vllm=local/none:{uuid.uuid4().hex}"
    return run_tests(tmp_path_factory.mktemp("tests"), f"--llem-image=pytorch={image}", f"--llem-image={missing}")


def test_containers_run_commands_for_a_test_or_for_the_session(done: subprocess.CompletedProcess[str]) -> None:
    for name in ("looks_around", "is_another", "shares", "shares_with_the_test_before"):
        assert f"test_it.py::test_{name} PASSED" in done.stdout, done.stdout


def test_its_log_stands_in_the_report_of_a_failure(done: subprocess.CompletedProcess[str]) -> None:
    failures = done.stdout.partition("= FAILURES =")[2]
    assert "test_it.py::test_fails FAILED" in done.stdout
    assert "- log of llem-fixture-test_fails-" in failures
    assert "the container speaks\n[exit status 3]" in failures


def test_what_stands_against_it_is_told(done: subprocess.CompletedProcess[str]) -> None:
    assert "test_it.py::test_needs_an_image FAILED" in done.stdout
    assert "PreflightError" in done.stdout
    assert "is not here and cannot be pulled" in done.stdout


def test_nothing_is_left(done: subprocess.CompletedProcess[str], client: Any) -> None:
    assert "2 failed, 4 passed" in done.stdout
    assert client.api.containers(all=True, filters={"label": "llem.run=fixture"}) == []
