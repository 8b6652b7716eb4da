"""Where something was measured: hardware, driver, libraries, container, source control. No environment variables.

Environment variables hold secrets (tokens of model hubs), so none is recorded, except the two that change what is
measured and are known to hold none.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

from pytest_llem.energy.environment_gpu import Driver, GpuFacts, gpu_facts
from pytest_llem.energy.git import GitState, git_state

LIBRARIES = (
    "pytest-llem",
    "pytest",
    "torch",
    "transformers",
    "vllm",
    "accelerate",
    "bitsandbytes",
    "flash-attn",
    "flashinfer-python",
    "triton",
    "tokenizers",
    "numpy",
    "nvidia-ml-py",
    "zeus",
    "codecarbon",
)
HASHED_LIBRARIES = (
    "torch",
    "transformers",
    "vllm",
    "accelerate",
    "bitsandbytes",
    "flash-attn",
    "flashinfer-python",
    "triton",
)
VARIABLES = ("CUDA_VISIBLE_DEVICES", "LLEM_CPU_WATTS_PER_CORE")


@dataclass(frozen=True)
class Host:
    """The machine without its GPUs. None: not known."""

    cpu_model: str | None
    cpu_count: int | None
    cpu_governor: str | None
    memory_bytes: int | None
    os: str
    kernel: str
    architecture: str
    python: str
    container: str | None  # "docker", "podman", …; None outside of one


@dataclass(frozen=True)
class Environment:
    """A snapshot; :meth:`plain` is what environment.json holds."""

    host: Host
    driver: Driver | None
    gpus: tuple[GpuFacts, ...]
    versions: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    git: GitState | None = None

    def plain(self) -> dict[str, object]:
        """Built of JSON's own types."""
        data = asdict(self)
        data["gpus"] = list(data["gpus"])
        data["environment_hash"] = self.hash()
        return data

    def hash(self) -> str:
        """The same on machines that should measure the same energy: equal hardware, limits, driver and libraries.

        Left out: what tells two equal machines apart (UUIDs), what changes by itself (clocks at this moment, free
        memory) and what only names the study (git).
        """
        matters = {
            "cpu": [self.host.cpu_model, self.host.cpu_count, self.host.cpu_governor, self.host.architecture],
            "driver": None if self.driver is None else asdict(self.driver),
            "gpus": sorted(json.dumps(gpu.lasting()) for gpu in self.gpus),
            "python": self.host.python.rpartition(".")[0],
            "versions": {name: self.versions.get(name) for name in HASHED_LIBRARIES},
        }
        return hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:16]


def snapshot(study_folder: Path | None = None, worker_versions: Mapping[str, str] | None = None) -> Environment:
    """The present machine. ``worker_versions`` (of a worker in a container, say) go over the host's own."""
    driver, gpus = gpu_facts()
    return Environment(
        host=_host(),
        driver=driver,
        gpus=gpus,
        versions={**library_versions(), **(worker_versions or {})},
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        git=None if study_folder is None else git_state(study_folder),
    )


def library_versions() -> dict[str, str]:
    """Installed versions, read from the packages' metadata: nothing is imported."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def detect_container(root: Path = Path("/")) -> str | None:
    """The kind of container that this process runs in; None where there is no sign of one."""
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    groups = _text(root / "proc/1/cgroup") or ""
    for sign, kind in (("kubepods", "kubernetes"), ("docker", "docker"), ("containerd", "containerd"), ("lxc", "lxc")):
        if sign in groups:
            return kind
    return None


def _host() -> Host:
    memory_kib = _after_colon(Path("/proc/meminfo"), "MemTotal")
    return Host(
        cpu_model=_after_colon(Path("/proc/cpuinfo"), "model name"),
        cpu_count=os.cpu_count(),
        cpu_governor=_text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        memory_bytes=None if memory_kib is None else int(memory_kib.split()[0]) * 1024,
        os=_after_equals(Path("/etc/os-release"), "PRETTY_NAME") or platform.system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        python=platform.python_version(),
        container=detect_container(),
    )


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _after(file: Path, key: str, separator: str) -> str | None:
    for line in (_text(file) or "").splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return None


def _after_colon(file: Path, key: str) -> str | None:
    return _after(file, key, ":")


def _after_equals(file: Path, key: str) -> str | None:
    return _after(file, key, "=")
