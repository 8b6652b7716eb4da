"""Backends by name: those of this package, and those that others register as entry points."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points

from pytest_llem.backends.base import Backend
from pytest_llem.errors import BackendError

GROUP = "pytest_llem.backends"
_BUILT_IN = {  # entry points exist only where the package is installed; in a container it may just be on the path
    "pytorch": "pytest_llem.backends.pytorch:PytorchBackend",
    "vllm": "pytest_llem.backends.vllm:VllmBackend",
}


def backend_names() -> list[str]:
    """Every backend that :func:`get_backend` knows."""
    return sorted(_targets())


def get_backend(name: str) -> Backend:
    """The backend of that name; raises BackendError, with the nearest name, if there is none."""
    targets = _targets()
    if name not in targets:
        near = difflib.get_close_matches(name, targets, n=1)
        raise BackendError(
            f"unknown backend {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(targets))}",
        )
    module, _, attribute = targets[name].partition(":")
    try:
        backend: Backend = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise BackendError(f"backend {name!r} cannot be loaded from {targets[name]}: {error}") from error
    return backend


def _targets() -> dict[str, str]:
    return _BUILT_IN | {entry.name: entry.value for entry in entry_points(group=GROUP)}
