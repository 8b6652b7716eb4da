"""Why a container could not be made or started: the engine's wording turned into a cause and what to do.

Engines of different versions word the same cause differently, so a few telling words are looked for, not sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_llem.errors import RunnerError


@dataclass(frozen=True)
class Cause:
    """One thing that goes wrong: how it is recognised, what it is, and its remedy."""

    pattern: str
    message: str
    hint: str


NO_GPU_SUPPORT = Cause(
    r"could not select device driver|unknown( or invalid)? runtime.*nvidia|failed to discover GPU vendor"
    r"|unresolvable CDI devices|CDI device injection failed|nvidia-container-cli|error gathering device information",
    "the Docker Engine cannot give a container the GPU",
    "install the NVIDIA Container Toolkit and run `sudo nvidia-ctk runtime configure --runtime=docker`, "
    "or make a CDI specification: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`; then restart Docker",
)
CAUSES = (
    Cause(
        r"no space left on device|disk quota exceeded",
        "the disk is full",
        "free some: `docker system df` shows what Docker uses, `docker image prune` removes unused images",
    ),
    NO_GPU_SUPPORT,
    Cause(
        r"no such image|manifest unknown|pull access denied|repository does not exist|not found: manifest",
        "the image is missing",
        "`docker pull` it, build it (docker/build.sh BACKEND), or name another: --llem-image=BACKEND=IMAGE",
    ),
    Cause(
        r"bind source path does not exist|invalid mount config",
        "the Docker Engine does not see a folder of this host",
        "use an engine on this very host; for one in a virtual machine, share the folder with it",
    ),
    Cause(
        r"executable file not found|no such file or directory.*exec|exec:.*not found",
        "the image lacks the program that starts the worker",
        "use an image built by docker/build.sh",
    ),
    Cause(
        r"network .* not found|network .*(none|bridge).*unavailable",
        "the Docker Engine has no such network",
        "the model must be downloaded: use an engine with a network, or download it before",
    ),
    Cause(
        r"connection (refused|aborted|reset)|no such file or directory'?\)|read timed out|cannot connect",
        "the Docker Engine went away",
        "see whether it runs (`docker version`) and what its log says (`journalctl -u docker`)",
    ),
)


def explain(error: Exception, doing: str) -> RunnerError:
    """The RunnerError for an error of the engine or of the connection to it."""
    text = str(getattr(error, "explanation", None) or error)
    for cause in CAUSES:
        if re.search(cause.pattern, text, re.IGNORECASE | re.DOTALL):
            return RunnerError(f"{doing}: {cause.message} ({text.strip()})", hint=cause.hint)
    return RunnerError(f"{doing}: {text.strip()}")
