"""Backends by name: those of this package, and those that others register as entry points."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

from pytest_llem.backends.base import Backend
from pytest_llem.errors import BackendError

GROUP = "pytest_llem.backends"
_BUILT_IN = (  # entry points exist only where the package is installed; in a container it may just be on the path
    EntryPoint("pytorch", "pytest_llem.backends.pytorch:PytorchBackend", GROUP),
    EntryPoint("vllm", "pytest_llem.backends.vllm:VllmBackend", GROUP),
)


def get_backend(name: str) -> Backend:
    """The backend of that name; raises BackendError, with the nearest name, if there is none."""
    known = {entry.name: entry for entry in (*_BUILT_IN, *entry_points(group=GROUP))}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(known))}"
        raise BackendError(f"unknown backend {name!r}", hint=hint)
    try:
        backend: Backend = known[name].load()()
    except (ImportError, AttributeError) as error:
        raise BackendError(f"backend {name!r} cannot be loaded from {known[name].value}: {error}") from error
    return backend
