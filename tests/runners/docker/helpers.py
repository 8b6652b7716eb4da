"""Running the stand-in worker in a container, with the real conversation and a recorder that does nothing."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llem.backends.base import ModelFacts
from pytest_llem.processes import started_at
from pytest_llem.results.model import Warmup
from pytest_llem.runners.base import Launch
from pytest_llem.runners.conductor import Limits, WorkerSession
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.runners.job import WorkerResult
from pytest_llem.runners.progress import Progress
from pytest_llem.study.config import ExperimentConfig, MeasureSpec, ModelSpec
from pytest_llem.study.study import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
SPEC = MeasureSpec(repeats=1, min_window_s=0.01, bracket_s=0.01)
CELL = Cell("lab", "standin-c1", ExperimentConfig(model=ModelSpec(id="tiny"), measure=SPEC), "0" * 64, 1, {})
CANNED = WorkerResult(
    facts=ModelFacts("tiny", True, "float32", "cpu", (), 1, 1, 4, 4),
    versions={},
    load_start=0,
    warmup=Warmup(n=0, converged=True, cv=None, seconds=0),
    windows=(),
    output_hash="0" * 64,
    prompts=1,
    prompts_cut=0,
    prompt_hash="0" * 64,
    peak_memory_bytes=None,
    memory_source="not read",
)


def build_context(base_image: str, act: str, labels: dict[str, str]) -> io.BytesIO:
    """What `docker build` needs to make an image with the stand-in: a tar archive with a Dockerfile."""
    lines = [
        f"FROM {base_image}",
        "COPY pytest_llem /usr/lib/python3/dist-packages/pytest_llem",
        f"ENV STANDIN={json.dumps(act)}",
        *(f"LABEL org.pytest-llem.{name}={json.dumps(value)}" for name, value in labels.items()),
    ]
    files = {"Dockerfile": "\n".join(lines).encode()}
    files["pytest_llem/runners/worker.py"] = (HERE / "standin.py").read_bytes()
    package = ("__init__", "version", "runners/__init__", "runners/messages")
    for name in (*package, "runners/docker/__init__", "runners/docker/entry"):
        files[f"pytest_llem/{name}.py"] = (SOURCE / "pytest_llem" / f"{name}.py").read_bytes()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    context.seek(0)
    return context


class NoRecorder:
    """Takes what the conversation tells a recorder."""

    def __init__(self) -> None:
        self.followed: list[int] = []

    def pace(self, pace: str) -> None:
        """Nothing is recorded."""

    def follow(self, pid: int) -> None:
        self.followed.append(pid)


class Lab:
    """One exchange folder and one session with a stand-in worker."""

    def __init__(self, client: Any, host: str, image: str, run_id: str, folder: Path, settings: dict[str, Any]) -> None:
        self.client = client
        self.host = host
        self.run_id = run_id
        self.folder = folder
        self.exchange = folder / "exchange"
        self.log = folder / "worker.log"
        self.recorder = NoRecorder()
        self._image = image
        self._settings = settings
        self.exchange.mkdir()
        (self.exchange / "canned.json").write_text(CANNED.model_dump_json())

    def settings(self, **more: Any) -> DockerSettings:
        return DockerSettings(
            **{
                "images": {"pytorch": self._image},
                "shm_size": "64m",
                "mounts": (SOURCE, HERE),
                "environment": {"PYTHONPATH": f"{SOURCE}:{HERE}"},
                "worker": "standin",
                **self._settings,
                **more,
            }
        )

    def launch(self, act: str, **more: Any) -> Launch:
        (self.exchange / "act").write_text(act)
        return Launch(
            **{
                "exchange": self.exchange,
                "log": self.log,
                "run_id": self.run_id,
                "cell_id": CELL.id,
                "backend": "pytorch",
                **more,
            }
        )

    def session(self, act: str, environment: dict[str, str] | None = None, **more: Any) -> WorkerSession:
        runner = DockerRunner(self.settings(), {"DOCKER_HOST": self.host, **(environment or {})})
        return WorkerSession(runner, self.launch(act, **more), self.recorder)

    @contextmanager
    def running(self, act: str, **more: Any) -> Iterator[WorkerSession]:
        """A session that ends with the block."""
        session = self.session(act, **more)
        try:
            yield session
        finally:
            session.close(grace_s=1.0)

    def containers(self) -> list[str]:
        """What is left, or there, of this run."""
        listed = self.client.api.containers(all=True, filters={"label": f"llem.run={self.run_id}"})
        return [entry["Names"][0] for entry in listed]

    def check_nothing_left(self) -> None:
        """No container, no process, no socket, and the folder is the caller's own again. Asked once."""
        if not self.folder.exists():
            return
        assert self.containers() == []
        assert [pid for pid in self.recorder.followed if started_at(pid) is not None] == []
        assert not (self.exchange / "llem.sock").exists()
        assert {path.stat().st_uid for path in self.folder.rglob("*")} <= {self.folder.stat().st_uid}
        shutil.rmtree(self.folder)


def run(session: WorkerSession, say: Callable[[Progress], None] = lambda _: None, **limits: float) -> WorkerResult:
    """Lead the stand-in through its one experiment."""
    return session.run(CELL, 0.01, Limits(**{"experiment_s": 20.0, "silence_s": 10.0, **limits}), say)


def on_progress(act: Callable[[], None]) -> Callable[[Progress], None]:
    """A listener that acts once, beside the conversation, when the worker is warming up."""
    started = threading.Event()

    def listen(progress: Progress) -> None:
        if progress.phase == "warmup" and not started.is_set():
            started.set()
            threading.Thread(target=act).start()

    return listen
