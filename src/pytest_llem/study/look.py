"""Does a file look like a study? Asked for every YAML file that pytest passes, so it reads text and parses nothing."""

from __future__ import annotations

import re
from pathlib import Path

LARGEST_BYTES = 1_000_000
"""A study file larger than this is refused; ten thousand explicit experiments fit in it."""

_TOP_LEVEL_KEY = re.compile(rb"""^(?:\xef\xbb\xbf)?(?:\{\s*)?(?:llem|"llem"|'llem')\s*:""", re.MULTILINE)


def looks_like_study(path: Path) -> bool:
    """Whether the file has the key ``llem`` at top level. A file that cannot be read does not look like a study."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(LARGEST_BYTES)
    except OSError:
        return False
    return _TOP_LEVEL_KEY.search(head) is not None
