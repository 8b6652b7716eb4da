"""Arguments of the commands that have many; apart from what they do, so that ``llem --version`` imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    """``llem compare``."""
    place = "a baseline's file or name, or the folder of a run"
    parser.add_argument("before", type=Path, help=place)
    parser.add_argument("now", type=Path, help=place)
    _judging_arguments(parser, "pass")
    parser.add_argument(
        "--other-board", choices=("widen", "refuse"), default="widen", help="two GPUs of one model: default widen"
    )
    parser.add_argument(
        "--same-code",
        action="store_true",
        help="both measured the same code: remember how they differ as the noise of this GPU",
    )
    parser.add_argument("--md", type=Path, metavar="FILE", help="write a table as Markdown")
    parser.add_argument("--annotations", action="store_true", help="print GitHub annotations")
    parser.add_argument("--json", action="store_true", help="for programs")


def ab_arguments(parser: argparse.ArgumentParser) -> None:
    """``llem ab``."""
    parser.add_argument("ref", help="the revision to compare with; it is checked out beside")
    parser.add_argument("studies", nargs="+", metavar="study", help="studies, as they are in the working tree")
    parser.add_argument("--cycles", type=int, metavar="N", help="turns of each side; default the study's, or 4")
    parser.add_argument("--setup", metavar="COMMAND", help="shell command run in each tree before, such as an install")
    parser.add_argument("--python", help="interpreter, seen from each tree; default: this one for both")
    _judging_arguments(parser, "skip")


def _judging_arguments(parser: argparse.ArgumentParser, inconclusive: str) -> None:
    parser.add_argument(
        "--fail-on",
        action="append",
        metavar="METRIC:TOLERANCE",
        help="what may not get worse (repeatable; default energy_per_output_token_j:5%%)",
    )
    parser.add_argument(
        "--inconclusive",
        choices=("pass", "fail", "skip"),
        default=inconclusive,
        help=f"what an undecided verdict counts as (default {inconclusive}); skip: exit status 125, for git bisect run",
    )


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
