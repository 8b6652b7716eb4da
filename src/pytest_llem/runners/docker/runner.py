"""The Docker runner: makes, starts and describes workers' containers."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llem.errors import LlemError, PreflightError, RunnerError
from pytest_llem.runners.base import Launch
from pytest_llem.runners.docker import folders, preflight, probe
from pytest_llem.runners.docker.causes import explain
from pytest_llem.runners.docker.client import Engine, connect, inspect_engine
from pytest_llem.runners.docker.container import Plan, container_name, creation_arguments, tuning
from pytest_llem.runners.docker.gpus import request_gpus
from pytest_llem.runners.docker.images import Image, image_for
from pytest_llem.runners.docker.log import BoundedLog
from pytest_llem.runners.docker.owner import own_identity
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.runners.docker.standing import STAY, StandingContainer
from pytest_llem.runners.docker.sweep import remove, sweep_dead_containers, sweep_own_containers
from pytest_llem.runners.docker.worker import DockerWorker
from pytest_llem.runners.hub import hub_cache

if TYPE_CHECKING:
    from docker import DockerClient

ENTRY = "pytest_llem.runners.docker.entry"
PROBE_LIMIT_S = 120


class DockerRunner:
    """Runs each worker in a container of its own; one runner serves a whole run."""

    name = "docker"

    def __init__(
        self,
        settings: DockerSettings | None = None,
        environment: Mapping[str, str] = os.environ,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._settings = settings or DockerSettings()
        self._environment = environment
        self._notify = notify
        self._used: dict[str, dict[str, str]] = {}
        self._gpu_access = "none"
        self._passed: set[preflight.Demand] = set()
        self._lock = threading.Lock()

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

    def preflight(self, launches: Sequence[Launch]) -> None:
        wanted = preflight.demands(launches, lambda backend: self.image(backend).name)
        with self._lock:
            try:
                host = preflight.Host(self._client, self._engine, self._settings.worker, self._run_probe, self._notify)
            except LlemError as error:
                raise PreflightError([(error.message, error.hint or "")]) from None
            new = [demand for demand in wanted if demand not in self._passed]
            preflight.check(host, new)
            self._passed |= set(new)

    def start(self, launch: Launch) -> DockerWorker:
        image = self.image(launch.backend)
        token = folders.hub_token(self._environment)
        program = (self._settings.python, "-m", ENTRY, self._settings.worker)
        plan = self._plan(launch, image.name, program, token=token is not None)
        worker = self._start(plan, token)
        self._remember(launch.backend, image)
        self._gpu_access = plan.gpus.access
        return worker

    def stand(self, launch: Launch) -> StandingContainer:
        """Start a container like a worker's that does nothing and stays up; raises RunnerError."""
        image = self.image(launch.backend).name
        plan = self._plan(launch, image, (self._settings.python, "-c", STAY))
        worker = self._start(plan, None)
        return StandingContainer(self._client, plan.name, image, launch.exchange, worker, launch.log)

    def describe(self) -> Mapping[str, str]:
        """Runner, engine, how GPUs are handed over, and image and digest: of the backend, where there is but one."""
        about = {"runner": self.name, "engine": self._engine.version, "gpu_access": self._gpu_access}
        if len(self._used) == 1:
            return about | next(iter(self._used.values()))
        return about | {f"{key}_{backend}": value for backend, of in self._used.items() for key, value in of.items()}

    def close(self) -> None:
        """Remove whatever this process has started and not yet removed."""
        if "_client" in self.__dict__:
            with contextlib.suppress(Exception):  # the engine may be gone, at the interpreter's very end
                sweep_own_containers(self._client, own_identity())

    def _remember(self, backend: str, image: Image) -> None:
        if backend not in self._used:
            found = self._client.images.get(image.name)
            digest = next(iter(found.attrs.get("RepoDigests") or ()), found.id)
            self._used[backend] = {
                "image": image.name,
                "image_digest": str(digest).rpartition("@")[2],
                "image_decided_by": image.decided_by,
            }

    def _plan(self, launch: Launch, image: str, program: tuple[str, ...], *, token: bool = False) -> Plan:
        cache = hub_cache(self._environment)
        bound = tuple(folders.bindings(launch, cache, self._settings.mounts))
        return Plan(
            name=container_name(launch.run_id, launch.cell_id),
            image=image,
            launch=launch,
            folders=bound,
            user=folders.container_user(self._engine, bound),
            gpus=request_gpus(self._engine, launch.gpu_uuids),
            cache=cache,
            owner=own_identity(),
            tuning=tuning(self._environment),
            token=token,
            program=program,
            host_user_namespace=self._engine.remapped,
        )

    def _start(self, plan: Plan, token: str | None) -> DockerWorker:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        exchange = plan.launch.exchange
        try:
            folders.lend(exchange, *plan.user)
            container = self._client.containers.create(**creation_arguments(plan, self._settings))
            output = container.attach(stdout=True, stderr=True, stream=True)
            line = container.attach_socket(params={"stdin": 1, "stream": 1}) if token else None
            container.start()
            if line is not None:
                line._sock.sendall(f"{token}\n".encode())
                line.close()
            container.reload()
            return DockerWorker(
                self._client,
                plan.name,
                container.attrs["State"]["Pid"],
                output,
                BoundedLog(plan.launch.log),
                lambda: folders.lend(exchange, os.getuid(), os.getgid()),
            )
        except BaseException as error:
            self._clear_up(plan)
            if isinstance(error, (DockerException, RequestException, OSError)):
                raise explain(error, f"a container of {plan.image} could not be started") from None
            raise

    def _clear_up(self, plan: Plan) -> None:
        """After a failed start: the engine keeps a container that it could not start."""
        with contextlib.suppress(Exception):  # the error that led here is the one to be told
            remove(self._client, plan.name)
        with contextlib.suppress(OSError):
            folders.lend(plan.launch.exchange, os.getuid(), os.getgid())

    def _run_probe(self, image: str, gpus: Sequence[str], exchange: Path) -> bytes:
        """Run the preflight's probe in a container like a worker's."""
        launch = Launch(
            exchange=exchange,
            job=exchange / "job.json",
            base_folder=None,
            log=exchange / "probe.log",
            run_id="preflight",
            cell_id="probe",
            backend="",
            gpu_uuids=tuple(gpus),
        )
        program = (self._settings.python, "-c", probe.PROGRAM, self._settings.worker)
        worker = self._start(self._plan(launch, image, program), None)
        try:
            if not worker.wait(PROBE_LIMIT_S):
                raise RunnerError(f"a container of {image} does not answer within {PROBE_LIMIT_S} s")
        finally:
            worker.release()
        return launch.log.read_bytes() if launch.log.exists() else b""
