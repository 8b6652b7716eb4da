"""A whole run as one object: every result, what varied between them, means over cycles, all verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field, JsonValue

from pytest_llem.errors import ResultError
from pytest_llem.results.cycles import mean_over_cycles
from pytest_llem.results.manifest import Manifest, read_manifest
from pytest_llem.results.model import SCHEMA_VERSION, ExperimentResult, Interval, Record, Verdict
from pytest_llem.results.store import RunFolder, read_result
from pytest_llem.study.metrics import METRICS


class Mean(Record):
    """A figure over ``n`` cycles of one configuration, SI units; ``ci95`` as :func:`mean_over_cycles` makes it."""

    value: float
    ci95: Interval | None
    n: int


class Configuration(Record):
    """One experiment over all its cycles. ``varied``: the swept values by dotted path.

    The means are over the measured, valid cycles; where there are none, over the valid ones, else over all:
    ``measured`` and ``valid`` say which. Latencies are medians over requests."""

    config_hash: str
    cell_ids: tuple[str, ...]
    varied: dict[str, JsonValue]
    measured: bool
    valid: bool
    figures: dict[str, Mean]


class CellVerdict(Verdict):
    """A verdict, and whose it is."""

    cell_id: str


class StudyResult(Record):
    """One run of one study. ``unreadable``: for each cell whose result is named but cannot be read, why."""

    schema_version: int = SCHEMA_VERSION
    manifest: Manifest
    results: tuple[ExperimentResult, ...]
    configurations: tuple[Configuration, ...]
    verdicts: tuple[CellVerdict, ...]
    unreadable: dict[str, str] = Field(default_factory=dict)


def collect(run_folder: Path) -> StudyResult:
    """Everything that a run has found so far; raises ResultError when the folder has no readable manifest."""
    manifest = read_manifest(RunFolder(run_folder).manifest)
    results: list[ExperimentResult] = []
    unreadable: dict[str, str] = {}
    for entry in manifest.cells:
        if entry.result is None:
            continue
        try:
            results.append(read_result(run_folder / entry.result))
        except ResultError as error:
            unreadable[entry.cell_id] = error.message
    return StudyResult(
        manifest=manifest,
        results=tuple(results),
        configurations=configurations(results),
        verdicts=tuple(
            CellVerdict(cell_id=result.cell_id, **verdict.model_dump())
            for result in results
            for verdict in result.verdicts
        ),
        unreadable=unreadable,
    )


def configurations(results: Iterable[ExperimentResult]) -> tuple[Configuration, ...]:
    """One for each configuration hash, and variant where there are two, in the order of first appearance."""
    groups: dict[tuple[str, str], list[ExperimentResult]] = {}
    for result in results:
        groups.setdefault(result.identity, []).append(result)
    varied = differences([{**group[0].config, **_variant(group[0])} for group in groups.values()])
    return tuple(_configuration(group, values) for group, values in zip(groups.values(), varied, strict=True))


def _variant(result: ExperimentResult) -> dict[str, JsonValue]:
    return {"variant": result.variant["name"]} if result.variant else {}


def _configuration(cycles: Sequence[ExperimentResult], varied: dict[str, JsonValue]) -> Configuration:
    valid = [result for result in cycles if result.validity.valid]
    used = [result for result in valid if result.measured] or valid or cycles
    means = {name: _mean(used, name) for name in METRICS}
    return Configuration(
        config_hash=cycles[0].config_hash,
        cell_ids=tuple(result.cell_id for result in cycles),
        varied=varied,
        measured=all(result.measured for result in used),
        valid=bool(valid),
        figures={name: mean for name, mean in means.items() if mean is not None},
    )


def _mean(cycles: Sequence[ExperimentResult], metric: str) -> Mean | None:
    value, interval = mean_over_cycles(cycles, metric)
    n = sum(result.figure(metric)[0] is not None for result in cycles)
    return None if value is None else Mean(value=value, ci95=interval, n=n)


def differences(configs: Sequence[Mapping[str, JsonValue]]) -> list[dict[str, JsonValue]]:
    """For each configuration its values at the dotted paths that take more than one value among those that have them.

    A path that only some have (another backend's section) does not differ by being absent."""
    flat = [_leaves(config) for config in configs]
    seen: dict[str, set[str]] = {}
    for leaves in flat:
        for path, value in leaves.items():
            seen.setdefault(path, set()).add(json.dumps(value, sort_keys=True))
    varied = [path for path, values in seen.items() if len(values) > 1]
    return [{path: leaves[path] for path in varied if path in leaves} for leaves in flat]


def _leaves(value: Mapping[str, JsonValue], above: str = "") -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, below in value.items():
        path = f"{above}{key}"
        found |= _leaves(below, f"{path}.") if isinstance(below, dict) and below else {path: below}
    return found
