"""Points in time as results name them. Light to import."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

# The wall clock is asked once: set back during a run, it would let experiments end before they began.
_BOOT_S = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _moment() -> datetime:
    return datetime.fromtimestamp(_BOOT_S + time.clock_gettime(time.CLOCK_BOOTTIME), UTC)


def now() -> str:
    """This moment, ISO 8601 in UTC, to the millisecond."""
    return _moment().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_stamp() -> str:
    """What makes a run's folder unique: UTC time and four hexadecimal digits."""
    return f"{_moment():%Y%m%dT%H%M%SZ}-{os.urandom(2).hex()}"
