"""A user's own defaults for all projects: ``config.toml`` in the platform's folder, below all that a project says."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "linelist": (list,),
    "float": (float, int),
    "int": (int,),
}


def read_user_file(path: Path, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Its settings by ini name; nothing where there is no such file. Raises pytest.UsageError.

    ``kinds``: the ini type of each name that may be set."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"{path}: cannot be read: {error}") from None
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise pytest.UsageError(f"{path}: {error}") from None
    for name, value in found.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1)
            raise pytest.UsageError(f"{path}: {name}: unknown" + (f" (did you mean {near[0]}?)" if near else ""))
        wanted = _TYPES[kinds[name]]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise pytest.UsageError(f"{path}: {name}: {value!r} is not a {kinds[name]}")
    return found
