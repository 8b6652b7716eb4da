"""Arguments of the commands that have many; apart from what they do, so that ``llem --version`` imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    """``llem compare``."""
    place = "a baseline file, or the folder of a run"
    parser.add_argument("before", type=Path, help=place)
    parser.add_argument("now", type=Path, help=place)
    parser.add_argument(
        "--fail-on",
        action="append",
        metavar="METRIC:TOLERANCE",
        help="what may not get worse (repeatable; default energy_per_output_token_j:5%%)",
    )
    parser.add_argument(
        "--other-board", choices=("widen", "refuse"), default="widen", help="two GPUs of one model: default widen"
    )
    parser.add_argument(
        "--inconclusive",
        choices=("pass", "fail", "skip"),
        default="pass",
        help="what an undecided verdict counts as; skip: exit status 125, for git bisect run",
    )
    parser.add_argument(
        "--same-code",
        action="store_true",
        help="both measured the same code: remember how they differ as the noise of this GPU",
    )
    parser.add_argument("--md", type=Path, metavar="FILE", help="write a table as Markdown")
    parser.add_argument("--annotations", action="store_true", help="print GitHub annotations")


def report_arguments(parser: argparse.ArgumentParser) -> None:
    """``llem report``."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="run", help="the folder of a run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one HTML file, of one run")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write tables as Markdown")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="write a baseline")
    parser.add_argument(
        "--benchmark-json", type=Path, metavar="FILE", help="write what github-action-benchmark reads (custom tools)"
    )
    parser.add_argument(
        "--metric",
        action="append",
        metavar="METRIC",
        help="a figure for --benchmark-json (repeatable; default energy_per_output_token_j)",
    )
