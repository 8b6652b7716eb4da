"""Points in time as results name them. Light to import."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def now() -> str:
    """This moment, ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_stamp() -> str:
    """What makes a run's folder unique: UTC time and four hexadecimal digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(2).hex()}"
