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

from pytest_llem.energy import nvml
from pytest_llem.energy.meters.cpu_estimate import WATTS_VARIABLE, cpu_model
from pytest_llem.errors import LlemError
from pytest_llem.study.git import git

_ENERGY_LIBRARIES = (
    "torch",
    "transformers",
    "vllm",
    "accelerate",
    "bitsandbytes",
    "flash-attn",
    "flashinfer-python",
    "triton",
)
LIBRARIES = (
    "pytest-llem",
    "pytest",
    *_ENERGY_LIBRARIES,
    "tokenizers",
    "numpy",
    "nvidia-ml-py",
    "zeus",
    "codecarbon",
)
VARIABLES = ("CUDA_VISIBLE_DEVICES", WATTS_VARIABLE)

Facts = dict[str, str | int | float | bool | None]
"""What is known of one thing, as environment.json holds it; None: it does not say."""

# What makes one machine or GPU measure unlike another: not its UUID, not its clocks at this moment.
_LASTING_OF_HOST = ("cpu_model", "cpu_count", "cpu_governor", "architecture")
_LASTING_OF_GPU = (
    "name",
    "vbios",
    "memory_bytes",
    "power_limit_w",
    "max_sm_clock_hz",
    "max_memory_clock_hz",
    "persistence_mode",
    "ecc",
    "mig",
)


@dataclass(frozen=True)
class Environment:
    """A snapshot; :meth:`plain` is what environment.json holds."""

    host: Facts
    driver: nvml.Driver | None
    gpus: tuple[Facts, ...]
    versions: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    git: Facts | None = None

    def plain(self) -> dict[str, object]:
        """Built of JSON's own types."""
        return {**asdict(self), "gpus": list(self.gpus), "environment_hash": self.hash()}

    def hash(self) -> str:
        """The same on machines that should measure the same energy: equal hardware, limits, driver and libraries.

        Left out: what tells two equal machines apart (UUIDs), what changes by itself (clocks at this moment, free
        memory) and what only names the study (git).
        """
        matters = {
            "cpu": [self.host[name] for name in _LASTING_OF_HOST],
            "driver": None if self.driver is None else asdict(self.driver),
            "gpus": sorted(json.dumps([gpu[name] for name in _LASTING_OF_GPU]) for gpu in self.gpus),
            "python": str(self.host["python"]).rpartition(".")[0],
            "versions": {name: self.versions.get(name) for name in _ENERGY_LIBRARIES},
        }
        return hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:16]


def snapshot(study_folder: Path | None = None, worker_versions: Mapping[str, str] | None = None) -> Environment:
    """The present machine. ``worker_versions`` (of a worker in a container, say) go over the host's own."""
    driver = nvml.driver()
    gpus = range(0 if driver is None else nvml.ask("nvmlDeviceGetCount"))
    return Environment(
        host=_host(),
        driver=driver,
        gpus=tuple(_gpu(index) for index in gpus),
        versions={**library_versions(), **(worker_versions or {})},
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        git=None if study_folder is None else git_state(study_folder),
    )


def library_versions() -> dict[str, str]:
    """Installed versions, read from the packages' metadata: nothing is imported."""
    installed = {name: next(iter(metadata.distributions(name=name)), None) for name in LIBRARIES}
    return {name: found.version for name, found in installed.items() if found is not None}


def detect_container(root: Path = Path("/")) -> str | None:
    """The kind of container that this process runs in; None where there is no sign of one."""
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    groups = _text(root / "proc/1/cgroup") or ""
    signs = {"kubepods": "kubernetes", "docker": "docker", "containerd": "containerd", "lxc": "lxc"}
    return next((kind for sign, kind in signs.items() if sign in groups), None)


def git_state(folder: Path) -> Facts | None:
    """The commit that a folder's source is at, and whether tracked files differ from it; None outside of a repository,
    before its first commit, or where git is not installed. Remotes, which may hold passwords, are not read."""
    try:
        found = git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except LlemError:
        return None
    commit, dirty, _ = found.partition("-dirty")
    return {"commit": commit, "dirty": bool(dirty)}


def _host() -> Facts:
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return {
        "cpu_model": cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_governor": _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "os": system,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "container": detect_container(),
    }


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _gpu(index: int) -> Facts:
    handle = nvml.ask("nvmlDeviceGetHandleByIndex", index)
    persistence, ecc = nvml.ask("nvmlDeviceGetPersistenceMode", handle), nvml.ask("nvmlDeviceGetEccMode", handle)
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    return {
        "uuid": nvml.ask("nvmlDeviceGetUUID", handle),
        "name": nvml.ask("nvmlDeviceGetName", handle),
        "vbios": nvml.ask("nvmlDeviceGetVbiosVersion", handle),
        "memory_bytes": None if memory is None else int(memory.total),
        "power_limit_w": nvml.scaled(1e-3, "nvmlDeviceGetEnforcedPowerLimit", handle),
        "default_power_limit_w": nvml.scaled(1e-3, "nvmlDeviceGetPowerManagementDefaultLimit", handle),
        "max_sm_clock_hz": nvml.scaled(1e6, "nvmlDeviceGetMaxClockInfo", handle, nvml.SM_CLOCK),
        "max_memory_clock_hz": nvml.scaled(1e6, "nvmlDeviceGetMaxClockInfo", handle, nvml.MEMORY_CLOCK),
        "sm_clock_hz": nvml.scaled(1e6, "nvmlDeviceGetClockInfo", handle, nvml.SM_CLOCK),
        "persistence_mode": None if persistence is None else bool(persistence),
        "ecc": None if ecc is None else bool(ecc[0]),
        "mig": nvml.mig_enabled(handle),
    }
