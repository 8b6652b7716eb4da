"""Containers of backends for ordinary tests: what ``llem_container`` gives, and their logs where a test fails.

Docker's SDK is imported with the first container.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_llem.options import options_of
from pytest_llem.processes import temporary_prefix

if TYPE_CHECKING:
    from pytest_llem.energy.gpus import Gpu
    from pytest_llem.runners.docker.runner import DockerRunner
    from pytest_llem.runners.docker.standing import StandingContainer

_used: pytest.StashKey[list[StandingContainer]] = pytest.StashKey()


class Containers:
    """The containers of a session: those of single tests, and those that stay to its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._options = options_of(config)
        self._runner: DockerRunner | None = None
        self._shared: dict[tuple[str, str | None], StandingContainer] = {}
        self._stack = ExitStack()

    def shared(self, backend: str, gpu: Gpu | None) -> StandingContainer:
        """The session's container of a backend, started on first use."""
        key = (backend, gpu.uuid if gpu else None)
        if key not in self._shared:
            self._shared[key] = self.start(backend, gpu, "session", self._stack)
        return self._shared[key]

    def start(self, backend: str, gpu: Gpu | None, purpose: str, stack: ExitStack) -> StandingContainer:
        """A new container that ends with ``stack``. Raises PreflightError and RunnerError."""
        from pytest_llem.runners.base import Launch
        from pytest_llem.runners.docker.runner import DockerRunner
        from pytest_llem.runners.docker.settings import settings_from

        if self._runner is None:
            self._runner = DockerRunner(settings_from(self._options.images))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=temporary_prefix())))
        exchange = folder / "exchange"
        exchange.mkdir()
        launch = Launch(
            exchange=exchange,
            log=folder / "log",
            run_id="fixture",
            cell_id=purpose,
            backend=backend,
            gpu_uuids=(gpu.uuid,) if gpu else (),
        )
        if not self._options.skip_preflight:
            self._runner.preflight(launch)
        container = self._runner.stand(launch)
        stack.callback(container.close)
        return container

    def close(self) -> None:
        """Remove what is still there."""
        self._stack.close()


class ContainerFactory:
    """Called by a test with a backend's name: ``llem_container("pytorch")``."""

    def __init__(self, item: pytest.Item, containers: Containers, stack: ExitStack) -> None:
        self._item = item
        self._containers = containers
        self._stack = stack

    def __call__(
        self, backend: str, *, scope: Literal["function", "session"] = "function", gpu: Gpu | None = None
    ) -> StandingContainer:
        """A running container of the backend's image, for this test alone or shared by all of the session.

        It sees no GPU but the one given, which should be locked: the ``llem_gpu`` fixture's is. Raises
        PreflightError with everything that stands against it, and RunnerError."""
        if scope == "session":
            container = self._containers.shared(backend, gpu)
        else:
            container = self._containers.start(backend, gpu, self._item.name, self._stack)
        self._item.stash.setdefault(_used, []).append(container)
        return container


def add_logs(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put the logs of the containers that a test has used into the report of its failure."""
    used: list[StandingContainer] = item.stash.get(_used, [])
    report.sections += [(f"log of {one.name} ({one.image})", one.log()) for one in dict.fromkeys(used)]
