"""What recorded runs amount to: their results, budgets over cycles, the comparison with a baseline, and what fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_llem.errors import ResultError
from pytest_llem.results import noise
from pytest_llem.results.baseline import Baseline, environment_facts, make_baseline, read_baseline
from pytest_llem.results.compare import compare
from pytest_llem.results.comparison import Comparison, Gate, Report
from pytest_llem.results.cycles import CycleVerdicts, judge_configurations
from pytest_llem.results.model import ExperimentResult
from pytest_llem.results.study_result import StudyResult, collect


@dataclass(frozen=True)
class Runs:
    """Runs on disk. ``facts``: of each environment, by its hash, what a baseline says of it."""

    studies: tuple[StudyResult, ...]
    facts: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, folders: Iterable[Path]) -> Runs:
        """The runs in ``folders``; raises ResultError for one without a readable manifest."""
        studies: list[StudyResult] = []
        facts: dict[str, dict[str, str]] = {}
        for folder in folders:
            studies.append(found := collect(folder))
            known = _environment(folder / "environment.json")
            facts |= {result.environment_hash: known for result in found.results}
        return cls(tuple(studies), facts)

    @cached_property
    def results(self) -> tuple[ExperimentResult, ...]:
        """All results of all runs."""
        return tuple(result for study in self.studies for result in study.results)

    @cached_property
    def max_cycles(self) -> dict[str, int]:
        """Of each run that went on until decided, by its id, after how many cycles it would have stopped."""
        manifests = [study.manifest for study in self.studies]
        return {manifest.run_id: manifest.max_cycles for manifest in manifests if manifest.max_cycles is not None}

    @property
    def complete(self) -> bool:
        """Whether nothing was left out that should have been measured."""
        manifests = [study.manifest for study in self.studies]
        return not any(manifest.unmeasured or manifest.status == "stopped" for manifest in manifests)

    @cached_property
    def over_cycles(self) -> tuple[CycleVerdicts, ...]:
        """Budgets on the means of configurations with several cycles."""
        return judge_configurations(self.results, self.max_cycles)

    @cached_property
    def has_variants(self) -> bool:
        """Whether there is something to compare without a baseline."""
        return any("against" in result.variant for result in self.results)

    def baseline(self) -> Baseline:
        """All of it as a baseline; raises ResultError where there are no results."""
        return make_baseline(self.results, self.facts, self.max_cycles)


def _environment(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):  # the results stand without it; a baseline only says less of where they are from
        return {}
    return environment_facts(found) if isinstance(found, dict) else {}


def baseline_at(path: Path) -> Baseline:
    """What a run's folder or a baseline file holds; raises ResultError."""
    if not path.is_dir():
        return read_baseline(path)
    runs = Runs.read([path])
    if not runs.results:
        raise ResultError(f"{path}: this run has no results")
    return runs.baseline()


def known_noise(folder: Path, *baselines: Baseline | None) -> dict[str, noise.BoardNoise]:
    """What is remembered of every board in ``baselines``."""
    entries = [entry for one in baselines if one is not None for entry in one.configurations]
    boards = {noise.board_key(entry.uuids) for entry in entries if entry.boards}
    return {board: noise.load(folder, board) for board in boards}


def compare_with_noise(now: Baseline, before: Baseline | None, gate: Gate, folder: Path | None = None) -> Report:
    """:func:`compare` with what the user's cache knows of these boards; raises ResultError."""
    return compare(now, before, gate, known_noise(folder or noise.default_folder(), now, before))


def failures(
    report: Report | None,
    over_cycles: Iterable[CycleVerdicts],
    *,
    inconclusive_fails: bool = False,
    must_compare: bool = False,
    excused: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """A line for each thing for which a run fails: what got dearer, what must not be compared, means over budget.

    ``must_compare``: also where there is nothing that could be compared. ``excused``: hashes of configurations that are
    expected to fail, which are never a reason."""
    bad = {"fail", "inconclusive"} if inconclusive_fails else {"fail"}
    lines = [
        f"{one.label}: {verdict.metric} over {one.cycles} cycles is {_WORDS[verdict.outcome]}"
        for one in over_cycles
        for verdict in one.verdicts
        if verdict.outcome in bad and one.config_hash not in excused
    ]
    if report is not None:
        lines += [_why(row) for row in report.comparisons if _fails(row, bad) and row.config_hash not in excused]
        must = must_compare or inconclusive_fails or report.new  # a comparison not made is never a pass
        if must and not report.comparisons:
            lines.append("nothing could be compared with the baseline")
    return tuple(lines)


_WORDS = {"fail": "out of budget", "inconclusive": "undecided"}


def _fails(row: Comparison, bad: set[str]) -> bool:
    return row.refused or row.verdict in bad


def _why(row: Comparison) -> str:
    if row.refused:
        return f"{row.label}: {row.metric} was not compared: {row.reason}"
    return f"{row.label}: {row.metric} {'got worse' if row.verdict == 'fail' else 'is undecided'}"
