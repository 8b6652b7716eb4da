"""What a page is made with: a plotting library that becomes part of it, and the templates.

Vega, Vega-Lite and Vega-Embed (BSD-3-Clause), about 0.9 MB of JavaScript, come out of the installed wheel of
vl-convert when a page is written, so nothing is fetched.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pytest_llem.errors import MissingDependency

if TYPE_CHECKING:
    import jinja2


@cache
def chart_library() -> str:
    """The script that defines ``vegaEmbed``, safe inside a script element; raises MissingDependency."""
    try:
        import vl_convert
    except ImportError:
        raise MissingDependency("vl-convert-python", "report") from None
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def templates() -> jinja2.Environment:
    """The templates in ``assets``, which escape whatever is put into them; raises MissingDependency."""
    try:
        import jinja2
    except ImportError:
        raise MissingDependency("jinja2", "report") from None
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
