"""What takes environments of its own: the plugin on several versions of pytest, and the package as it is released."""

import shutil
from pathlib import Path

import nox

PYTEST = ("8.4", "9.0", "9.1", "9.2")
# What talks to pytest, and needs neither an inference library nor Docker.
CORE = (*sorted(map(str, Path("tests").glob("test_*.py"))), "tests/commands", "-m", "not slow and not vllm")


@nox.session
@nox.parametrize("xdist", [nox.param(False, id="plain"), nox.param(True, id="xdist")])
@nox.parametrize("pytest", [nox.param(version, id=f"pytest{version}") for version in PYTEST])
def matrix(session: nox.Session, pytest: str, xdist: bool) -> None:
    """The tests of the core; arguments after `--` are pytest's in place of these tests.

    With xdist come the other light extras, without it the package is alone."""
    needed = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "tests")
    session.install(".[xdist,report,completion]" if xdist else ".", f"pytest~={pytest}.0", *needed)
    session.run("pytest", "-q", *(session.posargs or CORE))


@nox.session
def dist(session: nox.Session) -> None:
    """Wheel and sdist, checked, and the wheel tried in an environment of its own."""
    session.install("build", "twine", "check-wheel-contents")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    files = sorted(map(str, Path("dist").iterdir()))
    wheel = next(file for file in files if file.endswith(".whl"))
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", wheel)
    session.run("python", "benchmarks/install_size.py", wheel)
