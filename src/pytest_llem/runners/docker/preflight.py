"""Before the first container: everything that would stop an experiment, found at once, each with its fix.

The last look is from inside: a short container of the very image tells what no configuration does, whether the GPUs can
be used, whether the exchange folder is the host's, and whether the clock is (an engine in a virtual machine has one of
its own, and marks would be worthless).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llem.energy import nvml
from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.client import DISK_HINT, GPU_HINT, OLDEST_API, Engine, explain, failures
from pytest_llem.runners.docker.gpus import device_requests
from pytest_llem.runners.docker.images import Finding, check_labels, labels_of, pull

if TYPE_CHECKING:
    from docker import DockerClient

GIB = 2**30
FREE_FOR_RUNNING_BYTES = 1 * GIB
FREE_FOR_PULLING_BYTES = 30 * GIB  # an image with CUDA and an inference library, compressed and unpacked
FREE_FOR_EXCHANGE_BYTES = GIB // 8
# Runs in the image's Python with nothing but the standard library; libcuda is what every framework goes through.
PROBE = r"""
import ctypes, importlib.util, json, pathlib, sys, time, uuid
found = {"monotonic": time.monotonic(), "gpus": [], "cuda_error": None}
try:
    found["answer"] = pathlib.Path("question.txt").read_text()
except OSError as error:
    found["answer"] = str(error)
try:
    found["worker"] = importlib.util.find_spec(sys.argv[1]) is not None
except ImportError:
    found["worker"] = False
try:
    cuda, count, identity = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), (ctypes.c_ubyte * 16)()
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    found["cuda_error"] = f"cuInit: CUDA error {code}" if code else None
    for device in range(0 if code else count.value):
        cuda.cuDeviceGetUuid_v2(identity, device)
        found["gpus"].append(f"GPU-{uuid.UUID(bytes=bytes(identity))}")
except (OSError, AttributeError) as error:
    found["cuda_error"] = str(error)
print(json.dumps(found))
"""


def check_host(
    client: DockerClient, engine: Engine, image: str, gpus: Sequence[str], notify: Callable[[str], None]
) -> list[Finding]:
    """What is wrong before a container is started. A missing image is pulled once nothing else stands against it."""
    driver = nvml.driver() if gpus else None
    labels = labels_of(client, image)
    findings = [*_check_engine(engine), *_check_gpu_access(engine, gpus)]
    findings += _check_disk(engine.root, FREE_FOR_RUNNING_BYTES if labels is not None else FREE_FOR_PULLING_BYTES)
    findings += _check_disk(Path(tempfile.gettempdir()), FREE_FOR_EXCHANGE_BYTES)
    if labels is None:
        findings += _check_pullable(client, image)
        if findings or (findings := pull(client, image, notify)):
            return findings
        labels = labels_of(client, image) or {}
    return [*findings, *check_labels(image, labels, driver, gpus=bool(gpus))]


def _check_engine(engine: Engine) -> Iterator[Finding]:
    if tuple(map(int, engine.api_version.split("."))) < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        yield (
            f"Docker Engine {engine.version} has API {engine.api_version}; {oldest} is the oldest that will do",
            "update Docker to 19.03 or newer",
        )


def _check_gpu_access(engine: Engine, gpus: Sequence[str]) -> Iterator[Finding]:
    try:
        device_requests(engine, gpus)
    except RunnerError as error:
        yield error.message, error.hint or ""


def _check_disk(folder: Path, needed: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # not this host's folder, or closed to us: the look inside shows whether it works
    if free < needed:
        yield f"{folder} has {free / GIB:.1f} GiB free, {needed / GIB:.3g} GiB are needed", DISK_HINT


def _check_pullable(client: DockerClient, image: str) -> Iterator[Finding]:
    try:
        client.images.get_registry_data(image)
    except failures() as error:
        reason = explain(error, "asking its registry").message
        yield (
            f"image {image} is not here and cannot be pulled: {reason}",
            "build it (docker/build.sh BACKEND), or name another: --llem-image=BACKEND=IMAGE or LLEM_IMAGE_<BACKEND>",
        )


def look_inside(
    image: str, gpus: Sequence[str], worker: str, exchange: Path, run: Callable[[], bytes]
) -> Iterator[Finding]:
    """Run the probe and judge its answer. ``run`` starts it with the exchange folder and returns what it printed."""
    question = str(time.time_ns())
    (exchange / "question.txt").write_text(question)
    before = time.monotonic()
    try:
        output = run()
        found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except RunnerError as error:
        yield f"a container of {image} does not start: {error.message}", error.hint or "see the engine's log"
        return
    except (ValueError, IndexError):
        text = output.decode(errors="replace").strip() or "no output"
        yield f"a container of {image} cannot run Python: {text}", "use an image built by docker/build.sh"
        return
    if found["answer"] != question:
        yield (
            f"a container does not see this host's temporary folder: {found['answer']}",
            "use an engine on this very host; for one in a virtual machine, share the folder with it (TMPDIR)",
        )
    if not before <= found["monotonic"] <= time.monotonic():
        yield (
            "a container has another monotonic clock than this host, so the engine runs in a virtual machine",
            "use an engine on this very host: times from another clock cannot be matched with the power meter's",
        )
    if not found["worker"]:
        yield f"image {image} has no {worker}", "use an image built by docker/build.sh"
    if missing := [uuid for uuid in gpus if uuid not in found["gpus"]]:
        seen = found["cuda_error"] or f"it sees {', '.join(found['gpus']) or 'none'}"
        yield f"in a container of {image}, GPU {', '.join(missing)} cannot be used: {seen}", GPU_HINT
    if more := [uuid for uuid in found["gpus"] if uuid not in gpus]:
        yield (
            f"a container of {image} sees GPU {', '.join(more)}, which it was not given",
            "see the engine's default runtime and the image's NVIDIA_VISIBLE_DEVICES",
        )
