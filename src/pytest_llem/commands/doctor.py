"""``llem doctor``: what this machine can measure and how well, and what would stop an experiment."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_llem.energy import doctor
from pytest_llem.energy.environment import snapshot
from pytest_llem.errors import LlemError
from pytest_llem.report.units import si
from pytest_llem.runners.devices import DevicePlan, check, plan_devices
from pytest_llem.runners.locks import default_lock_dir

LITTLE_BYTES = 1_000_000_000
_SECONDS = 1.5  # of recording at each pace: fifteen steps of a counter that steps every 100 ms


def examine(meter: str = "auto", results: Path = Path("llem-results")) -> dict[str, Any]:
    """All findings as plain data; ``problems`` are those that somebody should do something about."""
    problems: list[str] = []
    environment = snapshot()
    found: dict[str, Any] = {
        "gpus": list(environment.gpus),
        "driver": None if environment.driver is None else asdict(environment.driver),
        "versions": environment.versions,
        "meter": _meter(meter, problems),
        "docker": _docker(),
        "disk": _disk(results, problems),
        "locks": _locks(default_lock_dir()),
    }
    return {**found, "problems": problems}


def _meter(name: str, problems: list[str]) -> dict[str, Any] | None:
    try:
        plan = plan_devices(name, None)
        with tempfile.TemporaryDirectory(prefix="llem-doctor-") as folder:
            report = doctor.examine(plan.meter_name, plan.devices, Path(folder), _SECONDS)
    except LlemError as error:
        problems.append(str(error))
        return None
    if not plan.meter.measured:
        problems.append(f"energy is only estimated here ({plan.meter.name}): no power meter works")
    problems += _busy(plan)
    return {**asdict(report), "passed_over": [list(one) for one in plan.passed_over]}


def _busy(plan: DevicePlan) -> list[str]:
    try:
        return [finding.message for finding in check(plan.gpus, "warn", lambda text: None)]
    except LlemError as error:
        return [str(error)]


def _docker() -> dict[str, str | None]:
    """The engine and how it hands over GPUs; ``error`` where there is none, which is no problem of local runs."""
    try:
        from pytest_llem.runners.docker.client import connect, inspect_engine
        from pytest_llem.runners.docker.gpus import gpu_access

        engine = inspect_engine(connect())
    except LlemError as error:
        return {"engine": None, "error": error.message}
    except ImportError:
        return {"engine": None, "error": "the Docker SDK is not installed: pip install 'pytest-llem[docker]'"}
    return {"engine": engine.version, "gpus": gpu_access(engine), "error": None}


def _disk(results: Path, problems: list[str]) -> dict[str, int]:
    places = {"results": results.resolve(), "temporary files": Path(tempfile.gettempdir())}
    free = {}
    for what, place in places.items():
        existing = next(folder for folder in (place, *place.parents) if folder.exists())
        free[f"{what}: {existing}"] = shutil.disk_usage(existing).free
        if free[f"{what}: {existing}"] < LITTLE_BYTES:
            problems.append(f"little space for {what}: {existing} has {free[f'{what}: {existing}'] / 1e6:.0f} MB free")
    return free


def _locks(folder: Path) -> dict[str, str]:
    """Each lock, and whether an experiment holds it now. One that nobody holds is only a file: it blocks nobody."""
    found = {}
    for path in sorted(folder.glob("*.lock")):
        try:
            with FileLock(path, timeout=0):
                found[path.stem] = "free"
        except Timeout:
            found[path.stem] = "held"
        except OSError as error:
            found[path.stem] = f"cannot be opened: {error.strerror or error}"
    return found


def doctor_text(found: Mapping[str, Any]) -> str:
    """The findings for a person."""
    gpus = [f"GPU {index}: {gpu['name']}, {gpu['uuid']}" for index, gpu in enumerate(found["gpus"])]
    lines = gpus or ["GPUs: none that NVML shows"]
    if found["driver"] is not None:
        lines.append("driver: " + ", ".join(f"{key} {value}" for key, value in found["driver"].items() if value))
    lines += _meter_lines(found["meter"])
    docker = found["docker"]
    lines.append(
        f"Docker: {docker['error']}" if docker["error"] else f"Docker: {docker['engine']}, GPUs: {docker['gpus']}"
    )
    lines += [f"free for {place}: {free / 1e9:.1f} GB" for place, free in found["disk"].items()]
    held = [name for name, state in found["locks"].items() if state != "free"]
    lines.append(f"locks: {', '.join(held)} held by a running experiment" if held else "locks: none is held")
    lines.append("libraries: " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    lines += [f"PROBLEM: {problem}" for problem in found["problems"]]
    return "\n".join(lines)


def _meter_lines(meter: Mapping[str, Any] | None) -> list[str]:
    if meter is None:
        return ["meter: none"]
    about = meter["meter"]
    kind = "measures" if about["measured"] else "ESTIMATES"
    lines = [f"meter: {about['name']} ({about['source']}), {kind}; evaluated as {about['method']}"]
    for device in meter["devices"]:
        facts = [
            ("a step every", si(device["step_period_s"], "s")),
            ("one read takes", si(device["counter_read_s"], "s")),
            ("idle", si(device["idle_power_w"], "W")),
            ("noise", si(device["noise_w"], "W")),
        ]
        told = ", ".join(f"{what} {value}" for what, value in facts if value != si(None, ""))
        lines.append(f"  {device['device']['name']}: {told}")
    lines += [f"  passed over {name}: {why}" for name, why in meter["passed_over"]]
    return lines
