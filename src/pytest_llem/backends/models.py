"""Models by name: the built-in ``tiny`` and ``shape:NAME``, all others as the libraries know them.

A built-in model is a folder in the user's cache, as transformers and vLLM read it. A shape's folder holds no weights:
they are drawn on the device.
"""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pytest_llem.backends import shapes, tiny
from pytest_llem.errors import BackendError
from pytest_llem.study.identity import is_folder

TINY = "tiny"
_SHAPE = "shape:"
_CACHE_HINT = "set XDG_CACHE_HOME to a folder that can be written"


def is_tiny(model_id: str) -> bool:
    """Whether it is the built-in small model with weights and a tokenizer."""
    return model_id == TINY


def is_shape(model_id: str) -> bool:
    """Whether only dimensions are published here: weights are drawn on the device, there is no tokenizer."""
    return model_id.startswith(_SHAPE)


def has_random_weights(model_id: str) -> bool:
    """Whether the model's weights mean nothing."""
    return is_tiny(model_id) or is_shape(model_id)


def model_folder(model_id: str) -> Path:
    """The folder of a built-in model, made on first use; raises BackendError for an unknown shape."""
    if is_tiny(model_id):
        return _cached(f"tiny-v{tiny.VERSION}", tiny.write)
    shape = _shape(model_id)
    return _cached(f"shape-{shape.name}-v{shapes.VERSION}", shape.write)


def model_source(model_id: str) -> str:
    """What to give to ``from_pretrained`` or to vLLM: a built-in's folder, the user's own folder, or a hub id.

    Raises BackendError for a folder that is not there, before a library takes its path for the name of a repository.
    """
    if has_random_weights(model_id):
        return str(model_folder(model_id))
    if not is_folder(model_id):
        return model_id
    folder = Path(model_id).expanduser()
    if not folder.is_dir():
        raise BackendError(f"there is no model folder {model_id}", hint=f"looked from {Path.cwd()}")
    return str(folder)


def prompt_vocabulary(model_id: str) -> int:
    """Ids below this one stand for text in a built-in model; special tokens lie above."""
    return tiny.TEXT_VOCABULARY if is_tiny(model_id) else _shape(model_id).text_vocabulary


def _shape(model_id: str) -> shapes.Shape:
    name = model_id.removeprefix(_SHAPE)
    if name not in shapes.SHAPES:
        near = difflib.get_close_matches(name, shapes.SHAPES, n=1)
        known = ", ".join(f"{_SHAPE}{shape}" for shape in shapes.SHAPES)
        guess = f"did you mean {_SHAPE}{near[0]}? " if near else ""
        raise BackendError(f"unknown shape {model_id!r}", hint=f"{guess}known are: {known}")
    return shapes.SHAPES[name]


def cache_folder() -> Path:
    """Where built-in models are kept: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``pytest-llem/models``."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "pytest-llem" / "models"
    except RuntimeError:
        raise BackendError("this user has no home folder to keep built-in models in", hint=_CACHE_HINT) from None


def _cached(name: str, write: Callable[[Path], None]) -> Path:
    """The cache's folder of that name, written beside it and renamed, so that it is never seen half made."""
    final = cache_folder() / name
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=final.parent))
        try:
            write(making)
            making.chmod(0o755)
            making.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster, and made the same
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise BackendError(
            f"the built-in model cannot be written to {final}: {error.strerror or error}",
            hint=_CACHE_HINT,
        ) from error
    return final
