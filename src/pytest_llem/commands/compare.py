"""``llem compare``: judge recorded results against others, on any machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pytest_llem.report.annotations import comparison_annotations
from pytest_llem.report.gate_text import comparison_lines
from pytest_llem.report.markdown import comparison_markdown
from pytest_llem.report.study_json import comparison_data
from pytest_llem.results.baseline import Baseline
from pytest_llem.results.comparison import Gate, Report
from pytest_llem.results.judgement import baseline_at, compare_with_noise, failures
from pytest_llem.results.manifest import read_manifest
from pytest_llem.results.noise import default_folder, remember
from pytest_llem.results.rules import DEFAULT_RULE, Rule
from pytest_llem.results.store import RunFolder, write_text

UNDECIDED = 125
"""``git bisect run`` takes this for a commit that cannot be tested."""


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, and return 0, 1 (worse, or refused) or 125; raises LlemError."""
    before, now = baseline_at(_kept(arguments.before)), baseline_at(_kept(arguments.now))
    rules = tuple(Rule.from_text(text) for text in arguments.fail_on or (DEFAULT_RULE,))
    report = compare_with_noise(now, before, Gate(rules, other_board=arguments.other_board))
    if arguments.same_code:
        _learn(before, now)
    if arguments.md is not None:
        write_text(arguments.md, comparison_markdown(report))
    if arguments.json:
        print(json.dumps(comparison_data(report), indent=1, ensure_ascii=False))
    else:
        print("\n".join(text for text, _ in comparison_lines(report)))
    if arguments.annotations:
        print("\n".join(comparison_annotations(report)))
    if unmeasured := _unmeasured(_kept(arguments.now)):
        print(f"llem: these have no result in {arguments.now}: {', '.join(unmeasured)}", file=sys.stderr)
        return 1
    return exit_status(report, arguments.inconclusive)


def _unmeasured(path: Path) -> list[str]:
    """A comparison that was not made because an experiment failed is no pass."""
    return read_manifest(RunFolder(path).manifest).unmeasured if path.is_dir() else []


def _kept(path: Path) -> Path:
    """``main`` is what ``--llem-save=main`` wrote, unless there is something else of that name."""
    named = Path("llem-results", "baselines", f"{path}.json")
    return named if len(path.parts) == 1 and not path.exists() and named.is_file() else path


def _learn(*baselines: Baseline) -> None:
    for baseline in baselines:
        remember(default_folder(), baseline, repeats=True)


def exit_status(report: Report, inconclusive: str) -> int:
    """0, 1 (worse, or refused) or 125; ``inconclusive``: pass, fail or skip."""
    if failures(report, (), inconclusive_fails=inconclusive == "fail", must_compare=True):
        return 1
    return UNDECIDED if inconclusive == "skip" and report.outcome == "inconclusive" else 0
