"""The plotting library of a page: Vega, Vega-Lite and Vega-Embed (BSD-3-Clause), out of the wheel of vl-convert.

About 0.9 MB of JavaScript. It is taken from the installed package when a page is written, so nothing is fetched.
"""

from __future__ import annotations

import re
from functools import cache

from pytest_llem.errors import MissingDependency


@cache
def chart_library() -> str:
    """The script that defines ``vegaEmbed``, safe inside a script element; raises MissingDependency."""
    try:
        import vl_convert
    except ImportError:
        raise MissingDependency("vl-convert-python", "report") from None
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)
