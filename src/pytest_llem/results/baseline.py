"""A baseline: what a run found, small enough for git or a CI cache. Version 1 of the format.

Every cycle's figures are kept, because a verdict rests on how cycles differ. Configurations and keys are in a fixed
order, so that two baselines of the same study differ only where the figures do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from pytest_llem.errors import ResultError
from pytest_llem.results.model import DeviceEnergy, ExperimentResult, Record
from pytest_llem.results.store import first_problem, write_text
from pytest_llem.study.metrics import METRICS

FORMAT, VERSION = "llem-baseline", 1
_STATISTICS = ("mean", "median", "p90", "p95", "p99")  # p50 is the median
NEAR_LIMIT = 0.75  # mean power above this share of the limit: the limit ruled the window
_HASH = 16  # hexadecimal digits: enough to tell outputs apart, short enough to be read in a diff
_CYCLE = re.compile(r"-c\d+$")
_COLUMNS = tuple(
    column
    for name, metric in METRICS.items()
    for column in ([f"{name}.{statistic}" for statistic in _STATISTICS] if metric.statistics else [name])
)
_SCALARS_ON_LINES = re.compile(r"\[\n\s+([^][{}]*?)\n\s*\]")


class Board(Record):
    """One device by what it is called and which one it is."""

    uuid: str
    name: str


_LEAST, _MOST = 1e-30, 1e30  # of any figure in its SI unit


class Entry(Record):
    """One configuration: a column for each figure, a row for each cycle; None where a cycle has no such figure."""

    config_hash: str
    study: str
    cells: tuple[str, ...]
    environment_hash: str
    boards: tuple[Board, ...]  # of all cycles, which may have run on different ones
    devices: int | None = None  # that one cycle ran on; None in a baseline of an older release
    energy_source: str
    method: str
    measured: bool
    power_limited: bool  # power had not settled, or was held down by its limit: see Comparison
    window_s: float | None
    output_hashes: tuple[str, ...]
    prompt_hashes: tuple[str, ...]
    invalid: tuple[str | None, ...]  # for each cycle why it is not valid
    figures: dict[str, tuple[float | None, ...]]
    variant: dict[str, str] = Field(default_factory=dict)  # as in a result
    max_cycles: int | None = None  # of a study with ``cycles: auto``: it went on until decided, this long at most

    @model_validator(mode="after")
    def _columns_fit(self) -> Entry:
        rows = len(self.cells)
        uneven = [name for name, column in self.figures.items() if len(column) != rows]
        if uneven or len(self.invalid) != rows or len(self.output_hashes) != rows:
            raise ValueError(
                f"there are {rows} cycles, but not as many values of {uneven[0] if uneven else 'a column'}"
            )
        for name, column in self.figures.items():
            for value in filter(None, column):
                if not _LEAST < abs(value) < _MOST:
                    raise ValueError(f"{value:g} is no value of {name}")
        return self

    @property
    def identity(self) -> tuple[str, str]:
        """See :attr:`ExperimentResult.identity`."""
        return self.config_hash, self.variant.get("name", "")

    @property
    def first(self) -> tuple[str, str]:
        """The identity of the variant that this one is compared with; of nothing where it is not."""
        return self.config_hash, self.variant.get("against", "-")

    @property
    def label(self) -> str:
        """The cell's name without its cycle."""
        return f"{self.study}[{_CYCLE.sub('', self.cells[0])}]"

    @property
    def uuids(self) -> frozenset[str]:
        """Which devices."""
        return frozenset(board.uuid for board in self.boards)

    @property
    def models(self) -> tuple[str, ...]:
        """What kinds of devices, in order of name."""
        return tuple(sorted({board.name for board in self.boards}))

    def values(self, metric: str) -> tuple[float, ...]:
        """The figure in every cycle that is valid and has it."""
        column = self.figures.get(column_of(metric), ())
        return tuple(v for v, why in zip(column, self.invalid, strict=False) if v is not None and why is None)


class Baseline(Record):
    """All configurations of a run. ``environments``: a few facts of each environment by its hash."""

    format: Literal["llem-baseline"] = "llem-baseline"
    version: Literal[1] = 1
    tool_version: str
    recorded_at: str
    environments: dict[str, dict[str, str]] = Field(default_factory=dict)
    configurations: tuple[Entry, ...]


def column_of(metric: str) -> str:
    """The name under which a metric is kept: a latency's is that of a statistic, the median where none is said."""
    name, _, statistic = metric.partition(".")
    if not METRICS[name].statistics:
        return name
    return f"{name}.{'median' if statistic in ('', 'p50') else statistic}"


def make_baseline(
    results: Sequence[ExperimentResult],
    facts: Mapping[str, Mapping[str, str]] | None = None,
    max_cycles: Mapping[str, int] | None = None,
) -> Baseline:
    """A baseline of all results; several cycles of a configuration become one entry.

    ``facts``: for each environment's hash more than a result says of it (:func:`environment_facts`).
    ``max_cycles``: that of each run that went on until decided, by its id. Raises ResultError where there is nothing
    to keep."""
    if not results:
        raise ResultError("there are no results to keep as a baseline", hint="run a study first")
    groups: dict[tuple[str, str], list[ExperimentResult]] = {}
    environments: dict[str, dict[str, str]] = {}
    for result in sorted(results, key=lambda r: (r.study, _CYCLE.sub("", r.cell_id), r.cycle, r.started_at)):
        groups.setdefault(result.identity, []).append(result)
        known = {**(facts or {}).get(result.environment_hash, {}), **result.versions}
        environments.setdefault(result.environment_hash, {}).update(known)
    return Baseline(
        tool_version=results[0].tool_version,
        recorded_at=max(result.finished_at for result in results),
        environments={name: dict(sorted(found.items())) for name, found in sorted(environments.items())},
        configurations=tuple(_entry(group, (max_cycles or {}).get(group[0].run_id)) for group in groups.values()),
    )


def environment_facts(environment: Mapping[str, object]) -> dict[str, str]:
    """Driver, CUDA and power limits out of what ``environment.json`` holds; what it does not say is left out."""
    facts: dict[str, str] = {}
    driver = environment.get("driver")
    if isinstance(driver, Mapping):
        known = (("version", "driver"), ("cuda", "cuda driver"))
        facts |= {name: str(driver[key]) for key, name in known if driver.get(key)}
    gpus = environment.get("gpus")
    for index, gpu in enumerate(gpus if isinstance(gpus, Sequence) else ()):
        limit = gpu.get("power_limit_w") if isinstance(gpu, Mapping) else None
        if limit:
            facts[f"power limit {index}"] = f"{limit:g} W"
    host = environment.get("host")
    if isinstance(host, Mapping) and host.get("cpu_model"):
        facts["cpu"] = str(host["cpu_model"])
    return facts


def _entry(cycles: Sequence[ExperimentResult], max_cycles: int | None) -> Entry:
    first = cycles[0]
    valid = [result for result in cycles if result.validity.valid] or cycles
    boards = {(d.uuid, d.name) for result in cycles for d in result.devices}
    lengths = [window.end - window.start for result in cycles for window in result.repeats]
    columns = {name: tuple(result.figure(name)[0] for result in cycles) for name in _COLUMNS}
    return Entry(
        config_hash=first.config_hash,
        study=first.study,
        cells=tuple(result.cell_id for result in cycles),
        environment_hash=first.environment_hash,
        boards=tuple(Board(uuid=uuid, name=name) for uuid, name in sorted(boards)),
        devices=max(len(result.devices) for result in cycles),
        energy_source=_distinct(result.energy_source for result in valid),
        method=_distinct(result.method for result in valid),
        measured=all(result.measured for result in cycles),
        power_limited=any(_power_limited(result) for result in cycles),
        window_s=sum(lengths) / len(lengths) if lengths else None,
        output_hashes=tuple(result.output_hash[:_HASH] for result in cycles),
        prompt_hashes=tuple(sorted({result.prompt_hash[:_HASH] for result in cycles})),
        invalid=tuple(None if r.validity.valid else ", ".join(r.validity.reasons) or "invalid" for r in cycles),
        figures={name: column for name, column in columns.items() if any(value is not None for value in column)},
        variant=first.variant,
        max_cycles=max_cycles,
    )


def _distinct(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))


def _power_limited(result: ExperimentResult) -> bool:
    capped = any("sw_power_cap" in device.throttle_reasons for device in result.devices)
    return (capped or "power_not_settled" in result.validity.reasons) and any(map(_near_limit, result.devices))


def _near_limit(device: DeviceEnergy) -> bool:
    """Whether the limit ruled a whole window. Each prefill of a batch touches it for a moment."""
    if device.power_limit_w is None or device.mean_power_w is None:
        return True
    return device.mean_power_w >= NEAR_LIMIT * device.power_limit_w


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write it, atomically: UTF-8, one line for each column of figures. Raises ResultError."""
    text = json.dumps(baseline.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    compact = _SCALARS_ON_LINES.sub(lambda found: "[" + re.sub(r",\n\s+", ", ", found[1]) + "]", text)
    write_text(path, compact + "\n")


_AGAIN = "record one with --llem-save=NAME"


def read_baseline(path: Path) -> Baseline:
    """The baseline in ``path``; raises ResultError where it is missing, damaged, something else or too new."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultError(f"{path}: there is no such baseline", hint=_AGAIN) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: cannot be read as a baseline: {error}", hint=_AGAIN) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultError(f"{path}: is not a baseline (it has no format: {FORMAT})", hint=_AGAIN)
    if data.get("version") != VERSION:
        raise ResultError(
            f"{path}: version {data.get('version')!r} of the format; this pytest-llem reads version {VERSION}",
            hint="pip install -U pytest-llem, or record it again with --llem-save=NAME",
        )
    try:
        return Baseline.model_validate(data)
    except ValidationError as error:
        raise ResultError(f"{path}: is damaged: {first_problem(error)}", hint=_AGAIN) from None
