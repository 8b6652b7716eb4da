"""Who follows a run where its results come together: in a serial run, or on xdist's controller.

They are registered with the first study or ``llem`` fixture, so that other runs do not pay for them.
"""

from __future__ import annotations

import pytest

from pytest_llem.gating import Gating
from pytest_llem.live import NAME as LIVE
from pytest_llem.live import Live
from pytest_llem.session import NAME, Controller


def follow(config: pytest.Config) -> None:
    """Register them, once; in a worker of xdist there is nothing to follow. Raises pytest.UsageError."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin(NAME):
        return
    config.pluginmanager.register(controller := Controller(config), NAME)
    config.pluginmanager.register(Gating(config))
    if config.get_verbosity() >= 0:
        config.pluginmanager.register(Live(config, controller.pending), LIVE)
