"""A pytest plugin for a host whose image has no software of its own: containers borrow the host's, read-only.

HOST_IMAGE names the image, HOST_MOUNTS the folders (separated by colons), HOST_PYTHON the interpreter. Load it with
``-p host_image``. On a host with images built by docker/build.sh none of this is needed.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_llem.runners import bench
from pytest_llem.runners.base import Runner
from pytest_llem.runners.bench import Settings
from pytest_llem.runners.docker.runner import DockerRunner
from pytest_llem.runners.docker.settings import DockerSettings
from pytest_llem.study.cell import RunnerChoice

_make_runner = bench.make_runner
_PASSED = ("LD_LIBRARY_PATH", "PYTHONPATH", "HF_HUB_OFFLINE", "VLLM_USE_FLASHINFER_SAMPLER", "VLLM_NO_USAGE_STATS")


def make_runner(choice: RunnerChoice, backend: str, settings: Settings) -> Runner:
    if choice.kind != "docker":
        return _make_runner(choice, backend, settings)
    return DockerRunner(
        DockerSettings(
            images={backend: os.environ["HOST_IMAGE"]},
            python=os.environ["HOST_PYTHON"],
            mounts=[Path(folder) for folder in os.environ["HOST_MOUNTS"].split(":")],
            environment={name: os.environ[name] for name in _PASSED if name in os.environ},
        )
    )


bench.make_runner = make_runner
