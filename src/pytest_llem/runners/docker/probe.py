"""A look from inside: a short container of the very image tells what a worker would find in it.

It answers what no configuration tells: whether the GPUs can be used, whether the exchange folder is the host's, and
whether the clock is (an engine in a virtual machine has one of its own, and marks would be worthless).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_llem.errors import RunnerError
from pytest_llem.runners.docker.causes import NO_GPU_SUPPORT
from pytest_llem.runners.docker.images import Finding

QUESTION = "question.txt"
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


def examine(
    image: str, gpus: Sequence[str], worker: str, exchange: Path, run: Callable[[Path], bytes]
) -> Iterator[Finding]:
    """Run the probe and judge its answer. ``run`` starts it on an exchange folder and returns what it printed."""
    question = str(time.time_ns())
    (exchange / QUESTION).write_text(question)
    before = time.monotonic()
    try:
        output = run(exchange)
        found = json.loads(output.strip().splitlines()[-1])
    except RunnerError as error:
        yield f"a container of {image} does not start: {error.message}", error.hint or "see the engine's log"
        return
    except (ValueError, IndexError):
        text = output.decode(errors="replace").strip()
        yield (
            f"a container of {image} cannot run Python: {text or 'no output'}",
            "use an image built by docker/build.sh",
        )
        return
    yield from _judge(found, image, gpus, worker, question, before, time.monotonic())


def _judge(
    found: dict[str, object], image: str, gpus: Sequence[str], worker: str, question: str, before: float, after: float
) -> Iterator[Finding]:
    if found["answer"] != question:
        yield (
            f"a container does not see this host's temporary folder: {found['answer']}",
            "use an engine on this very host; for one in a virtual machine, share the folder with it (TMPDIR)",
        )
    if not before <= float(str(found["monotonic"])) <= after:
        yield (
            "a container has another monotonic clock than this host, so the engine runs in a virtual machine",
            "use an engine on this very host: times from another clock cannot be matched with the power meter's",
        )
    if not found["worker"]:
        yield f"image {image} has no {worker}", "use an image built by docker/build.sh"
    visible = found["gpus"] if isinstance(found["gpus"], list) else []
    if missing := [uuid for uuid in gpus if uuid not in visible]:
        seen = found["cuda_error"] or f"it sees {', '.join(visible) or 'none'}"
        yield f"in a container of {image}, GPU {', '.join(missing)} cannot be used: {seen}", NO_GPU_SUPPORT.hint
    if more := [uuid for uuid in visible if uuid not in gpus]:
        yield (
            f"a container of {image} sees GPU {', '.join(more)}, which it was not given",
            "see the engine's default runtime and the image's NVIDIA_VISIBLE_DEVICES",
        )
