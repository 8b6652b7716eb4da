"""A look from inside: a short container of the very image tells what a worker would find in it.

It answers what no configuration tells: whether the GPUs can be used, whether the exchange folder is the host's, and
whether the clock is (an engine in a virtual machine has one of its own, and marks would be worthless).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.client import GPU_HINT
from pytest_llem.runners.docker.images import Finding

# Runs in the image's Python with nothing but the standard library; libcuda is what every framework goes through.
PROGRAM = r"""
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
