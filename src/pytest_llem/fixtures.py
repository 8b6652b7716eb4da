"""Fixtures for study items and for ordinary test files. Light to import: what they need is imported on use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llem.containers import ContainerFactory, Containers
    from pytest_llem.energy.gpus import Gpu
    from pytest_llem.energy.recorder import Recorder
    from pytest_llem.harness import Llem
    from pytest_llem.runners.measuring import Measurement
    from pytest_llem.watched import WatchedBench


@pytest.fixture(scope="session")
def llem_bench(request: pytest.FixtureRequest) -> Iterator[WatchedBench]:
    """What runs experiments in this process; internal to study items and to :func:`llem`."""
    from pytest_llem.watched import WatchedBench

    bench = WatchedBench(request.config)
    yield bench
    bench.close()


@pytest.fixture
def llem(request: pytest.FixtureRequest, llem_bench: WatchedBench) -> Llem:
    """Run an experiment: ``result = llem.run(model="tiny", batch_size=4)``; applies the test's budgets."""
    from pytest_llem.following import follow
    from pytest_llem.harness import Llem

    follow(request.config)
    return Llem(request, llem_bench)


@pytest.fixture
def llem_measure(
    request: pytest.FixtureRequest, llem_bench: WatchedBench
) -> Callable[..., AbstractContextManager[Measurement]]:
    """The energy of any code: ``with llem_measure() as energy: ...``, then ``energy.energy_j``."""
    from pytest_llem.options import options_of

    meter = llem_bench.plan.meter
    if options_of(request.config).require_measured and not meter.measured:
        told = f"the energy would be an estimate ({meter.source}), and --llem-require-measured is set"
        pytest.fail(f"{told}\n  hint: llem doctor tells which meters this machine has", pytrace=False)
    return llem_bench.measure


@pytest.fixture
def llem_gpu(llem_bench: WatchedBench) -> Iterator[Gpu]:
    """A GPU that nobody else measures on, found free of foreign processes; skips where there is none."""
    plan = llem_bench.plan
    if not plan.gpus:
        pytest.skip("no GPU with a meter: " + "; ".join(f"{name}: {why}" for name, why in plan.passed_over))
    with llem_bench.hold_gpu() as gpu:
        yield gpu


@pytest.fixture
def llem_meter(llem_bench: WatchedBench, tmp_path: Path) -> Iterator[Recorder]:
    """A running recorder on all devices of the chosen meter: ``llem_meter.pace("dense")``, ``llem_meter.read()``."""
    from pytest_llem.energy.recorder import Recorder

    plan = llem_bench.plan
    with Recorder(plan.meter_name, plan.devices, tmp_path) as recorder:
        yield recorder


@pytest.fixture(scope="session")
def llem_results_dir(request: pytest.FixtureRequest) -> Path:
    """Where results go (``--llem-results``)."""
    from pytest_llem.options import options_of

    return options_of(request.config).results


@pytest.fixture(scope="session")
def llem_containers(request: pytest.FixtureRequest) -> Iterator[Containers]:
    """The containers of this session; internal to :func:`llem_container`."""
    from pytest_llem.containers import Containers

    containers = Containers(request.config)
    yield containers
    containers.close()


@pytest.fixture
def llem_container(request: pytest.FixtureRequest, llem_containers: Containers) -> Iterator[ContainerFactory]:
    """A running container of a backend: ``llem_container("pytorch").run("python3", "-V")``, removed after the test;
    ``llem_container("pytorch", scope="session")`` is shared. What was printed stands in the report of a failure."""
    from pytest_llem.containers import ContainerFactory

    with ExitStack() as stack:
        yield ContainerFactory(request.node, llem_containers, stack)
