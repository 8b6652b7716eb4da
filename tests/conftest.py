"""What tests of the plugin share: studies on a backend that answers at once, run by a pytest of their own."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.energy.fake_nvml import SHADOW, VARIABLE, FakeGpu

with contextlib.suppress(ImportError):
    # A process can load it once only, and pytester forgets what is first imported in a run of its own.
    import vl_convert  # noqa: F401

SOURCE = Path(__file__).parents[1] / "src"
CI = os.environ.get("LLEM_CI") == "1"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the person who runs the tests reaches what is tested."""
    for name in [name for name in os.environ if name.startswith("LLEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def instant(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, bare: None) -> Path:
    """Makes ``backend: instant`` known to every process: metadata on PYTHONPATH, as an installer leaves it."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "instant-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: instant\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest_llem.backends]\ninstant = pytest_llem.testing:InstantBackend\n")
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCE), str(site), *inherited]))
    monkeypatch.syspath_prepend(str(site))
    return site


class Studies:
    """Writes study files and runs pytest on them, in a process of its own."""

    def __init__(self, pytester: pytest.Pytester, locks: Path) -> None:
        self.pytester = pytester
        self.locks = locks

    def write(self, text: str, name: str = "study.yaml") -> Path:
        """A study file; ``backend: instant`` and short windows unless the text says otherwise."""
        path = self.pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def arguments(self, *more: str | Path) -> list[str]:
        """What loads the plugin, with the CPU estimate and locks of its own, and ``more``.

        Skips the test where a plugin is missing that ``more`` asks for."""
        for option, module in (("-n", "xdist"), ("--json-report", "pytest_jsonreport")):
            if any(str(argument).startswith(option) for argument in more):
                pytest.importorskip(module)
        own = ["--llem-meter=cpu-estimate", f"--llem-lock-dir={self.locks}"]
        return [*load_plugin(), *own, *map(str, more)]

    def run(self, *arguments: str | Path, timeout: float = 120) -> pytest.RunResult:
        """pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*self.arguments(*arguments), timeout=timeout)

    def runs(self) -> list[Path]:
        """The folders of all runs."""
        return sorted(path.parent for path in self.pytester.path.glob("llem-results/*/manifest.json"))

    def manifest(self) -> dict[str, Any]:
        """The manifest of the only run."""
        (folder,) = self.runs()
        found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        return found

    def statuses(self) -> dict[str, str]:
        """Status by cell of the only run."""
        return {entry["cell_id"]: entry["status"] for entry in self.manifest()["cells"]}

    def results(self) -> dict[str, dict[str, Any]]:
        """Every result by cell."""
        found = [json.loads(path.read_text()) for folder in self.runs() for path in folder.glob("*/result.json")]
        return {result["cell_id"]: result for result in found}


def load_plugin() -> list[str]:
    """What pytest must be told to have the plugin: nothing, where its entry point is installed."""
    installed = any(point.value == "pytest_llem.plugin" for point in entry_points(group="pytest11"))
    return [] if installed else ["-p", "pytest_llem.plugin"]


@pytest.fixture
def studies(pytester: pytest.Pytester, instant: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """A folder for studies, and a pytest to run them."""
    return Studies(pytester, tmp_path_factory.mktemp("locks"))


@pytest.fixture
def thousand_files() -> Iterator[None]:
    """Whatever this process opens now has a descriptor from 1024 on, more than select() takes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    with contextlib.ExitStack() as files:
        while files.enter_context(Path(os.devnull).open()).fileno() < 1024:
            pass
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, instant: Path) -> None:
    """What every process that is started from here sees, whatever this machine has."""
    gpus = [FakeGpu(uuid=f"GPU-{name}", power_w=100.0) for name in ("a", "b")]
    monkeypatch.setenv(VARIABLE, json.dumps([asdict(gpu) for gpu in gpus]))
    shadow = Path(__file__).parent / "energy" / SHADOW
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(shadow), os.environ["PYTHONPATH"]]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


FAST = "measure: {warmup: 0, repeats: 1, min_window_s: 0.02}"
