"""Draws ``demo.svg``: what ``make demo`` prints on a terminal 100 columns wide. Needs rich (extra ``report``)."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 100


def main() -> None:
    command = [sys.executable, "-m", "pytest", "examples/quickstart", "--color=yes", "-p", "no:cacheprovider", "-v"]
    environment = {**os.environ, "COLUMNS": str(WIDTH), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True, check=False)
    dull = re.compile(r"platform|cachedir|rootdir|plugins|configfile|hypothesis|metadata")
    lines = [line for line in done.stdout.splitlines() if not dull.match(line)]
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ make demo", style="bold"))
    console.print(Text.from_ansi("\n".join(lines)))
    drawn = console.export_svg(title="pytest-llem")
    # Without its fonts, which would be fetched from afar.
    (HERE / "demo.svg").write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


if __name__ == "__main__":
    main()
