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
from pytest_llem.report.units import number, si
from pytest_llem.runners.devices import DevicePlan, check, plan_devices
from pytest_llem.runners.fleet import LIBRARIES
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


def _docker() -> dict[str, Any]:
    """The engine, how it hands over GPUs, and the images that would be used; ``error`` where there is no engine, which
    is no problem of local runs."""
    from pytest_llem.runners.docker.client import connect, explain, failures, inspect_engine
    from pytest_llem.runners.docker.gpus import gpu_access
    from pytest_llem.runners.docker.images import image_for, labels_of

    try:
        client = connect()
    except LlemError as error:
        return {"engine": None, "error": f"{error.message} ({error.hint})"}
    named = {backend: image_for(backend, {}).name for backend in LIBRARIES}
    try:
        engine = inspect_engine(client)
        images = {
            backend: f"{name} is {'here' if labels_of(client, name) is not None else 'not here'}"
            for backend, name in named.items()
        }
    except failures() as error:
        return {"engine": None, "error": explain(error, "the Docker Engine cannot be asked").message}
    return {"engine": engine.version, "gpus": gpu_access(engine), "images": images, "error": None}


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
    lines += _docker_lines(found["docker"])
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
    paces = (("near the edges of a window", "dense_cpu_share"), ("between windows", "slow_cpu_share"))
    costs = [f"{number(100 * meter[share], 2)} % {when}" for when, share in paces if meter[share] is not None]
    lines += [f"  recording takes of one core: {', '.join(costs)}"] if costs else []
    lines += [f"  passed over {name}: {why}" for name, why in meter["passed_over"]]
    return lines


def _docker_lines(docker: Mapping[str, Any]) -> list[str]:
    if docker["error"]:
        return [f"Docker: {docker['error']}"]
    images = [f"  image for {backend}: {state}" for backend, state in docker["images"].items()]
    build = "  an image of your own: docker/build.sh BACKEND, then LLEM_IMAGE_<BACKEND>=IMAGE (docs/docker.md)"
    return [f"Docker: {docker['engine']}, GPUs: {docker['gpus']}", *images, build]
