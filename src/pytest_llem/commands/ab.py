"""``llem ab``: pytest on studies with two variants, a revision and the working tree; exits for ``git bisect run``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import pytest

from pytest_llem.commands.compare import exit_status
from pytest_llem.commands.run import INTERRUPTED, run_pytest
from pytest_llem.errors import LlemError
from pytest_llem.gating import Gating
from pytest_llem.results.comparison import Report
from pytest_llem.results.rules import DEFAULT_RULE


class _Verdict:
    """Takes down what the run's gate has found."""

    report: Report | None = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        for gate in config.pluginmanager.get_plugins():
            self.report = gate.report if isinstance(gate, Gating) else self.report


def run(arguments: argparse.Namespace, more: Sequence[str]) -> int:
    """Measure, compare, and return 0, 1 (dearer now), 125 (not sure) or 130; raises LlemError. ``more``: for pytest."""
    both = {name: value for name in ("python", "setup") if (value := getattr(arguments, name)) is not None}
    variants = {"before": {"git": arguments.ref, **both}, "now": both}
    told = [f"--llem-variants={json.dumps(variants)}"]
    told += [] if arguments.cycles is None else [f"--llem-cycles={arguments.cycles}"]
    told += [f"--llem-fail-on={rule}" for rule in arguments.fail_on or (DEFAULT_RULE,)]
    verdict = _Verdict()
    status = run_pytest([*told, *arguments.studies, *more], verdict)
    if status == INTERRUPTED:
        return status
    if verdict.report is None or not verdict.report.comparisons:
        raise LlemError("nothing could be compared", hint="pytest's output above says why")
    return exit_status(verdict.report, arguments.inconclusive)
