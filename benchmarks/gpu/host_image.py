"""A pytest plugin for a host whose image has no software of its own: containers borrow the host's, read-only.

HOST_MOUNTS names the folders (separated by colons), HOST_PYTHON the interpreter. Load it with ``-p host_image``. On a
host with images built by docker/build.sh none of this is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_llem.runners.docker import settings

_PASSED = ("LD_LIBRARY_PATH", "PYTHONPATH", "HF_HUB_OFFLINE", "VLLM_USE_FLASHINFER_SAMPLER", "VLLM_NO_USAGE_STATS")
_settings_from = settings.settings_from


def settings_from(images: Mapping[str, str]) -> settings.DockerSettings:
    return replace(
        _settings_from(images),
        python=os.environ["HOST_PYTHON"],
        mounts=[Path(folder) for folder in os.environ["HOST_MOUNTS"].split(":")],
        environment={name: os.environ[name] for name in _PASSED if name in os.environ},
    )


settings.settings_from = settings_from
