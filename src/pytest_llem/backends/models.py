"""Models by name: the built-in ``tiny`` and ``shape:NAME``, all others as the libraries know them.

``tiny`` is made in the user's cache on first use, as transformers and vLLM read models. A shape is the published
``config.json`` of a well-known model: what a token costs depends on how large the matrices are, not on what is in them,
so its weights are drawn on the device.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from pytest_llem.backends import tiny
from pytest_llem.errors import BackendError
from pytest_llem.study.identity import is_folder
from pytest_llem.study.pytorch import SHAPE
from pytest_llem.study.wording import did_you_mean

_BUILT_IN = Path(__file__).with_name("built_in")
_ID_HINT = "write tiny, shape:NAME, a hub id such as Qwen/Qwen2.5-0.5B, or a folder that begins with ./ or /"
_CACHE_HINT = "set XDG_CACHE_HOME to a folder that can be written"


def is_shape(model_id: str) -> bool:
    """Whether only dimensions are published here: weights are drawn on the device, there is no tokenizer."""
    return model_id.startswith(SHAPE)


def has_random_weights(model_id: str) -> bool:
    """Whether it is built in: its weights mean nothing."""
    return model_id == "tiny" or is_shape(model_id)


def model_folder(model_id: str) -> Path:
    """The folder of a built-in model; raises BackendError where ``tiny`` cannot be written."""
    return _tiny() if model_id == "tiny" else _BUILT_IN / model_id.removeprefix(SHAPE)


def id_hint(model_id: str) -> str | None:
    """What to look at when a library has no model of that name: a built-in's, and a folder's, need no advice."""
    if has_random_weights(model_id) or is_folder(model_id):
        return None
    return did_you_mean(model_id, ["tiny"], otherwise=_ID_HINT)


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
    config = json.loads((model_folder(model_id) / "config.json").read_text())
    return min(int(config[name]) for name in ("pad_token_id", "bos_token_id", "eos_token_id") if name in config)


def _tiny() -> Path:
    """Its folder in ``$XDG_CACHE_HOME`` or ``~/.cache``; made beside it and renamed, so that it is never half there."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise BackendError("this user has no home folder to keep built-in models in", hint=_CACHE_HINT) from None
    final = cache / "pytest-llem" / "models" / f"tiny-v{tiny.VERSION}"
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
        try:
            tiny.write(making)
            making.chmod(0o755)
            making.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster, and made the same
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise BackendError(
            f"the built-in model cannot be written to {final}: {error.strerror or error}", hint=_CACHE_HINT
        ) from error
    return final
