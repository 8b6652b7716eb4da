"""The workflows, forms and guides: well formed, what they name exists, and nothing is published by accident."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import fenced

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
GUIDES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
MADE = {"site", "dist/", "release-notes.md"}  # by the workflow itself


def read(path: Path) -> dict[str, Any]:
    """A YAML file; ``on`` is a truth value in it."""
    found = yaml.safe_load(path.read_text())
    return {str(key): value for key, value in found.items()}


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job.get("steps", [])


def commands() -> Iterator[tuple[str, str]]:
    """(file, line) of every command: in the workflows, and in the guides' consoles."""
    for path in WORKFLOWS:
        for step in steps(path):
            yield from ((path.name, line) for line in step.get("run", "").splitlines())
    for path in GUIDES:
        for _, text in fenced(path, "console"):
            yield from ((path.name, line.removeprefix("$ ")) for line in text.splitlines() if line.startswith("$ "))
        yield from ((path.name, line) for line in re.findall(r"`((?:make|bash|python|nox) [^`]*)`", path.read_text()))


COMMANDS = sorted(set(commands()))


@pytest.mark.parametrize(("file", "line"), COMMANDS, ids=[f"{file}: {line}" for file, line in COMMANDS])
def test_what_a_command_names_exists(file: str, line: str) -> None:
    words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "1", line), comments=True)
    made = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    if words and words[0] == "make":
        assert set(words[1:]) <= set(made)
    for word in re.findall(r"(?<![\w./$-])(?:\.ci|ci|docker|benchmarks|tests|examples/quickstart)/[\w./-]+", line):
        assert (ROOT / word).exists(), word


def test_the_matrix_is_noxs() -> None:
    """Every session that CI asks for exists, and none is left out."""
    (versions,) = re.findall(r"^PYTEST = \((.*)\)$", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    matrix = read(ROOT / ".github/workflows/ci.yml")["jobs"]["matrix"]
    assert matrix["strategy"]["matrix"]["pytest"] == re.findall(r'"(.*?)"', versions)
    assert matrix["strategy"]["matrix"]["xdist"] == ["plain", "xdist"]
    assert 'nox --session "matrix(pytest${{ matrix.pytest }}, ${{ matrix.xdist }})"' in matrix["steps"][-1]["run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_paths_exist(path: Path) -> None:
    for job in read(path)["jobs"].values():
        for uses in [job.get("uses"), *(step.get("uses") for step in job.get("steps", []))]:
            if uses and uses.startswith("./"):
                assert (ROOT / uses).exists()
            elif uses:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", uses)
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
        named = step.get("with", {}).get("path")
        assert named is None or set(named.split()) <= MADE


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_no_more_than_reading(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}
    writing = {name for name, job in read(path)["jobs"].items() if "write" in job.get("permissions", {}).values()}
    allowed = {"release.yml": {"images", "pypi", "github", "docs"}, "images.yml": {"image"}}
    assert writing == allowed.get(path.name, set())


def test_only_a_version_tag_of_this_repository_publishes_and_after_an_approval() -> None:
    release = read(ROOT / ".github/workflows/release.yml")
    assert release["True"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    jobs = release["jobs"]
    assert jobs["build"]["if"] == "github.repository == 'pytest-llem/pytest-llem'"

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct)) if direct else direct

    assert jobs["approve"]["environment"] == "release"
    for name, job in jobs.items():
        assert name == "build" or "build" in before(name)
        if "write" in job.get("permissions", {}).values():
            assert {"approve", "install", "ci"} <= before(name)


def test_images_are_pushed_only_when_the_release_asks_for_it() -> None:
    (publishing,) = (
        job for path in WORKFLOWS for job in read(path)["jobs"].values() if job.get("with", {}).get("publish")
    )
    assert publishing["uses"] == "./.github/workflows/images.yml"
    images = read(ROOT / ".github/workflows/images.yml")
    assert images["True"]["workflow_call"]["inputs"]["publish"] == {"type": "boolean", "default": False}
    pushing = [
        s for s in steps(ROOT / ".github/workflows/images.yml") if re.search("login-|'push': True|attest-", str(s))
    ]
    assert len(pushing) == 3
    assert all(step["if"] == "inputs.publish" for step in pushing)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_have_what_github_asks_for(path: Path) -> None:
    form = read(path)
    if path.name == "config.yml":
        assert form["blank_issues_enabled"] is False
        return
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", path.read_text()):
        assert (ROOT / target).exists(), target
