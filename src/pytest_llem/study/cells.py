"""Cells of experiments: their cycles in the order to run, with gaps, budgets, runners, limits and located files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pytest_llem.study.budget import Budget
from pytest_llem.study.config import DATASET_SUFFIXES, ExperimentConfig
from pytest_llem.study.document import Document
from pytest_llem.study.expand import Experiment
from pytest_llem.study.header import Execution
from pytest_llem.study.identity import is_folder
from pytest_llem.study.runner import RunnerChoice
from pytest_llem.study.study import Cell
from pytest_llem.study.variants import Variant
from pytest_llem.study.wording import shown

Turn = tuple[int, int]
"""Index of the experiment, and its cycle from 1."""


def make_cells(
    study: str,
    experiments: Sequence[tuple[Experiment, tuple[Budget, ...]]],
    execution: Execution,
    seed: str,
    runners: Mapping[str, RunnerChoice],
    folder: Path,
    variants: Sequence[Variant] = (),
) -> tuple[Cell, ...]:
    """Every cycle of every experiment in the order to run; ``runners`` by backend, ``folder`` is the study's.

    Two variants of an experiment come one after the other, in every second cycle the other way round: ABBA."""
    configs = [_located(one.config, folder) for one, _ in experiments]
    order = [turn for turn in turns(len(experiments), execution, seed) for _ in variants or (None,)]
    cells = []
    for place, ((index, cycle), gap) in enumerate(zip(order, gaps(order, execution), strict=True)):
        one, budgets = experiments[index]
        name, runner, variant = one.id, runners[one.config.backend], None
        if variants:
            variant = variants[(place + cycle + 1) % 2]
            name, runner = f"{name}-{variant.name}", variant.runner(runner)
        cells.append(
            Cell(
                study=study,
                id=f"{name}-c{cycle}" if execution.most_cycles > 1 else name,
                config=configs[index],
                config_hash=one.config_hash,
                cycle=cycle,
                swept=one.swept,
                budgets=budgets,
                runner=runner,
                timeout_s=execution.timeout_s,
                silence_timeout_s=execution.silence_timeout_s,
                gap_before_s=gap,
                skip_preflight=execution.skip_preflight,
                variant=variant,
                line=one.line,
            )
        )
    return tuple(cells)


def turns(count: int, execution: Execution, seed: str) -> list[Turn]:
    """Every experiment in every cycle, in the order to run.

    ``sequential`` finishes an experiment before the next begins (AAABBB); the others finish a cycle before the next
    begins: ``interleaved`` as written (ABABAB), ``reversed`` every other cycle backwards (ABBAAB), ``shuffled`` each in
    an order of its own. ``seed`` decides the shuffling, the same on every machine and in every version of Python.
    """
    cycles = range(1, execution.most_cycles + 1)
    if execution.order == "sequential":
        return [(index, cycle) for index in range(count) for cycle in cycles]
    return [(index, cycle) for cycle in cycles for index in _one_cycle(count, cycle, execution, seed)]


def _one_cycle(count: int, cycle: int, execution: Execution, seed: str) -> Sequence[int]:
    if execution.order == "shuffled":
        return sorted(range(count), key=lambda index: hashlib.sha256(f"{seed}:{cycle}:{index}".encode()).digest())
    if execution.order == "reversed" and cycle % 2 == 0:
        return range(count - 1, -1, -1)
    return range(count)


def gaps(order: Sequence[Turn], execution: Execution) -> list[float]:
    """Seconds to wait before each turn: ``cycle_gap_s`` before a later cycle begins, else ``experiment_gap_s``."""
    waits = [
        execution.cycle_gap_s if cycle > cycle_before else execution.experiment_gap_s
        for (_, cycle_before), (_, cycle) in pairwise(order)
    ]
    return [0.0, *waits]


def check_files(experiments: Iterable[Experiment], document: Document, folder: Path) -> None:
    """Tell each prompt file and each model's folder that is not there."""
    hint = "the path is relative to the study's folder"
    for source in dict.fromkeys(one.given.dataset.source for one in experiments):
        if source.endswith(DATASET_SUFFIXES) and not _absolute(source, folder).is_file():
            document.wrong(("dataset", "source"), f"there is no file {shown(source)}", hint)
    for model in dict.fromkeys(one.given.model.id for one in experiments):
        if is_folder(model) and not _absolute(model, folder).is_dir():
            document.wrong(("model", "id"), f"there is no folder {shown(model)}", hint)


def _located(config: ExperimentConfig, folder: Path) -> ExperimentConfig:
    """``config`` with the paths of a prompt file and of a model's folder made absolute: they lie beside the study."""
    update: dict[str, object] = {}
    if config.dataset.source.endswith(DATASET_SUFFIXES):
        source = str(_absolute(config.dataset.source, folder))
        update["dataset"] = config.dataset.model_copy(update={"source": source})
    if is_folder(config.model.id):
        update["model"] = config.model.model_copy(update={"id": str(_absolute(config.model.id, folder))})
    return config.but(update)


def _absolute(path: str, folder: Path) -> Path:
    try:
        return (folder / Path(path).expanduser()).resolve()
    except (OSError, RuntimeError):  # no such user, or links that go round
        return folder / path
