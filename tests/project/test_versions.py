"""The version comes from git's tags: in a clone, without git, in a wheel, in an sdist, in an image's name."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from pytest_llem.results.model import SCHEMA_VERSION
from pytest_llem.runners.docker import images
from pytest_llem.runners.messages import PROTOCOL_VERSION

ROOT = Path(__file__).parents[2]
GIT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
GIT |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
DEV = "0.0.0.dev0"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=GIT, capture_output=True, text=True, check=True)
    return done.stdout


def build(source: Path, kind: str) -> Path:
    """The wheel or the sdist of a source tree, by the build backend itself."""
    pytest.importorskip("hatch_vcs")
    pytest.importorskip("hatch_fancy_pypi_readme")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(source / "dist")]
    subprocess.run(command, cwd=source, env=GIT, check=True, capture_output=True)
    (made,) = (source / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def version_of(source: Path) -> str:
    """What ``pytest_llem`` of a source tree says."""
    code = "import pytest_llem; print(pytest_llem.__version__)"
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a build needs of this tree, without git and never built."""
    folder = tmp_path / "source"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("_version.txt", "__pycache__"))
    shutil.copytree(ROOT / "docker", folder / "docker", ignore=shutil.ignore_patterns("*.whl"))
    (folder / "docker" / "wheels" / "torch-1-py3-none-any.whl").touch()  # for images only
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def tagged(source: Path) -> Path:
    git(source, "init", "--quiet")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message=all")
    git(source, "tag", "v3.1.4")
    return source


def test_a_tag_is_the_version_and_the_package_has_what_git_has(tagged: Path) -> None:
    wheel, sdist = build(tagged, "wheel"), build(tagged, "sdist")
    assert wheel.name == "pytest_llem-3.1.4-py3-none-any.whl"
    assert version_of(tagged) == "3.1.4"
    tracked = set(git(tagged, "ls-files").splitlines())
    with zipfile.ZipFile(wheel) as archive:
        packed = {f"src/{name}" for name in archive.namelist() if ".dist-info/" not in name}
        text = archive.read("pytest_llem-3.1.4.dist-info/METADATA").decode()
    assert packed == {name for name in tracked if name.startswith("src/")} | {"src/pytest_llem/_version.txt"}
    assert re.findall(r"\]\((?!https://).*?\)", str(email.message_from_string(text).get_payload())) == []
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert not [name for name in files if name.endswith(".whl")]
    assert files == tracked | {"src/pytest_llem/_version.txt", "PKG-INFO"}


def test_a_later_commit_is_a_version_under_development(tagged: Path) -> None:
    git(tagged, "commit", "--quiet", "--allow-empty", "--message=more")
    commit = git(tagged, "log", "-1", "--format=%h").strip()
    assert re.match(rf"pytest_llem-3\.1\.5\.dev1\+g{commit}\w*-", build(tagged, "wheel").name)


def test_without_git_it_builds_and_runs_too(source: Path) -> None:
    assert version_of(source) == DEV
    assert build(source, "wheel").name == f"pytest_llem-{DEV}-py3-none-any.whl"


def test_an_sdist_builds_the_wheel_of_its_version(tagged: Path, tmp_path: Path) -> None:
    with tarfile.open(build(tagged, "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    assert build(tmp_path / "pytest_llem-3.1.4", "wheel").name == "pytest_llem-3.1.4-py3-none-any.whl"


def printed(source: Path, *options: str) -> list[str]:
    command = ["docker/build.sh", "vllm", *options, "--print"]
    done = subprocess.run(command, cwd=source, env=GIT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("state", "host", "release"),
    [
        ("tagged", "3.1.4", "3.1.4"),
        ("tagged", "3.1.4+patched", "3.1.4"),
        ("changed", "3.1.5.dev0+g1a2b3c4.d20270131", "dev"),
        ("later", "3.1.5.dev1+g1a2b3c4", "dev"),
        ("no git", DEV, "dev"),
    ],
)
def test_an_image_gets_the_name_that_its_host_looks_for(
    state: str, host: str, release: str, tagged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    match state:
        case "changed":
            (tagged / "README.md").write_text("changed")
        case "later":
            git(tagged, "commit", "--quiet", "--allow-empty", "--message=more")
        case "no git":
            shutil.rmtree(tagged / ".git")
    monkeypatch.setattr(images, "__version__", host)
    name = f"ghcr.io/pytest-llem/pytest-llem/vllm:{release}-cuda13"
    assert images.image_for("vllm", {}, {}).name == name
    first, *arguments = printed(tagged)
    assert first == f"image={name}"
    assert arguments[:3] == ["arguments<<END", f"PROTOCOL={PROTOCOL_VERSION}", f"SCHEMA={SCHEMA_VERSION}"]
    assert re.fullmatch(rf"VERSION=({release}|0\.0\.0\.dev0(\+g[0-9a-f]+)?)", arguments[3])
    assert (arguments[3] == "VERSION=3.1.4") is (release != "dev")


def test_what_is_said_of_an_image_is_passed_on(source: Path) -> None:
    lines = printed(source, "--base", "mine:1", "--cuda", "none", "--tag", "mine:2")
    assert (lines[0], lines[-3:]) == ("image=mine:2", ["BASE_IMAGE=mine:1", "CUDA=none", "END"])


@pytest.mark.parametrize("backend", ["pytorch", "vllm"])
def test_an_image_is_built_with_what_the_package_is_built_with(backend: str) -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    text = (ROOT / "docker" / f"{backend}.Dockerfile").read_text()
    (installed,) = re.findall(r'"hatchling.*"', text)
    assert installed == " ".join(f'"{requirement}"' for requirement in needed)


def notes(version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "ci/release_notes.sh", version], capture_output=True, text=True, check=False)


def test_the_notes_of_a_release_are_its_part_of_the_changelog() -> None:
    written = notes("Unreleased")
    assert written.returncode == 0
    assert "## " not in written.stdout.replace("### ", "")
    assert written.stdout.strip() in (ROOT / "CHANGELOG.md").read_text()
    missing = notes("99.0.0")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == 'CHANGELOG.md has nothing under "## [99.0.0]"\n'
