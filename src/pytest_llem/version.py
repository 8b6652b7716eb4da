"""The version of this package; a module of its own, so that every layer may import it."""

from pathlib import Path

try:  # the build writes this file, with the version that git's tags make of the source
    __version__ = Path(__file__).with_name("_version.txt").read_text().strip()
except FileNotFoundError:  # the source tree itself, never built or installed
    __version__ = "0.0.0.dev0"
