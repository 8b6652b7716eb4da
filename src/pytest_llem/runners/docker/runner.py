"""The Docker runner: makes, starts and describes workers' containers."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import LlemError, PreflightError, RunnerError
from pytest_llem.processes import own_identity
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker.client import Engine, connect, explain, failures, inspect_engine
from pytest_llem.runners.docker.container import creation_arguments
from pytest_llem.runners.docker.folders import caller, hub_token, lend
from pytest_llem.runners.docker.gpus import gpu_access
from pytest_llem.runners.docker.images import Finding, Image, image_for
from pytest_llem.runners.docker.preflight import PROBE, check_host, look_inside
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.runners.docker.standing import STAY, StandingContainer
from pytest_llem.runners.docker.sweep import remove, sweep_dead_containers, sweep_own_containers
from pytest_llem.runners.docker.worker import BoundedLog, DockerWorker

if TYPE_CHECKING:
    from docker import DockerClient

ENTRY = "pytest_llem.runners.docker.entry"
PROBE_LIMIT_S = 120


class DockerRunner:
    """Runs each worker in a container of its own; one runner serves a whole run."""

    def __init__(
        self,
        settings: DockerSettings | None = None,
        environment: Mapping[str, str] = os.environ,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._settings = settings or DockerSettings()
        self._environment = environment
        self._notify = notify
        self._about: dict[str, str] = {}
        self._passed: set[tuple[str, tuple[str, ...]]] = set()  # image and GPUs

    @cached_property
    def _client(self) -> DockerClient:
        client = connect(self._environment)
        for name in sweep_dead_containers(client):
            self._notify(f"removed container {name}, left by a run that was killed")
        atexit.register(self.close)
        return client

    @cached_property
    def _engine(self) -> Engine:
        return inspect_engine(self._client)

    def image(self, backend: str) -> Image:
        """The image that serves a backend."""
        return image_for(backend, self._settings.images, self._environment)

    def preflight(self, launch: Launch) -> None:
        image = self.image(launch.backend).name
        if (image, launch.gpu_uuids) in self._passed:
            return
        try:
            findings = check_host(self._client, self._engine, image, launch.gpu_uuids, self._notify)
            findings = findings or self._look_inside(image, launch.gpu_uuids)
        except LlemError as error:
            findings = [(error.message, error.hint or "")]
        if findings:
            raise PreflightError(findings)
        self._passed.add((image, launch.gpu_uuids))

    def start(self, launch: Launch) -> DockerWorker:
        program = (self._settings.python, "-m", ENTRY, self._settings.worker)
        if not self._about:  # before a container is there that would be left behind if this fails
            self._about = {
                "runner": "docker",
                "engine": self._engine.version,
                "gpu_access": gpu_access(self._engine) if launch.gpu_uuids else "none",
                **self.origin(launch.backend),
            }
        return self._start(launch, self.image(launch.backend).name, program, hub_token(self._environment))

    def origin(self, backend: str) -> Mapping[str, str]:
        image = self.image(backend)
        try:
            found = self._client.images.get(image.name)
        except failures() as error:
            raise explain(error, f"looking at image {image.name}") from None
        digest = next(iter(found.attrs.get("RepoDigests") or ()), found.id)
        return {
            "image": image.name,
            "image_digest": str(digest).rpartition("@")[2],
            "image_decided_by": image.decided_by,
        }

    def stand(self, launch: Launch) -> StandingContainer:
        """Start a container like a worker's that does nothing and stays up; raises RunnerError."""
        image = self.image(launch.backend).name
        worker = self._start(launch, image, (self._settings.python, "-c", STAY))
        return StandingContainer(worker.name, image, launch.exchange, self._client, worker, launch.log)

    def describe(self) -> Mapping[str, str]:
        """Runner, engine, how GPUs are handed over, image and digest."""
        return self._about

    def close(self) -> None:
        """Remove whatever this process has started and not yet removed."""
        if "_client" in self.__dict__:
            with contextlib.suppress(Exception):  # the engine may be gone, at the interpreter's very end
                sweep_own_containers(self._client, own_identity())

    def _start(self, launch: Launch, image: str, program: Sequence[str], token: str | None = None) -> DockerWorker:
        arguments = creation_arguments(
            launch, image, program, self._engine, self._settings, self._environment, token=token is not None
        )
        give_back = partial(lend, launch.exchange, caller())
        try:
            lend(launch.exchange, arguments["user"])
            container = self._client.containers.create(**arguments)
            output = container.attach(stdout=True, stderr=True, stream=True)
            line = container.attach_socket(params={"stdin": 1, "stream": 1}) if token else None
            container.start()
            if line is not None:
                line._sock.sendall(f"{token}\n".encode())
                line.close()
            container.reload()
            pid = container.attrs["State"]["Pid"]
        except BaseException as error:
            with contextlib.suppress(Exception):  # the error that led here is the one to be told
                remove(self._client, arguments["name"])  # the engine keeps a container that it could not start
            with contextlib.suppress(OSError):
                give_back()
            if isinstance(error, Exception) and isinstance(error, (*failures(), OSError)):
                raise explain(error, f"a container of {image} could not be started") from None
            raise
        return DockerWorker(self._client, arguments["name"], pid, output, BoundedLog(launch.log), give_back)

    def _look_inside(self, image: str, gpus: tuple[str, ...]) -> list[Finding]:
        """Run the probe in a container like a worker's."""
        with tempfile.TemporaryDirectory(prefix="llem-") as folder:
            exchange = Path(folder)
            launch = Launch(exchange, exchange / "probe.log", "preflight", "probe", "", gpus)
            program = (self._settings.python, "-c", PROBE, self._settings.worker)

            def run() -> bytes:
                worker = self._start(launch, image, program)
                try:
                    if not worker.wait(PROBE_LIMIT_S):
                        raise RunnerError(f"a container of {image} does not answer within {PROBE_LIMIT_S} s")
                finally:
                    worker.release()
                return launch.log.read_bytes() if launch.log.exists() else b""

            return list(look_inside(image, gpus, self._settings.worker, exchange, run))
