"""Making cells: experiments with their cycles, order, budgets, runners and limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_llem.study.budget import Budget
from pytest_llem.study.cell import Cell
from pytest_llem.study.expand import Experiment
from pytest_llem.study.files import located
from pytest_llem.study.header import Execution, Header
from pytest_llem.study.order import gaps, turns
from pytest_llem.study.overrides import Overrides
from pytest_llem.study.runner import RunnerChoice, choose_runner


def make_cells(
    study: str,
    experiments: Sequence[tuple[Experiment, tuple[Budget, ...]]],
    execution: Execution,
    seed: str,
    runners: dict[str, RunnerChoice],
    folder: Path,
) -> tuple[Cell, ...]:
    """Every cycle of every experiment in the order to run; ``runners`` by backend, ``folder`` is the study's."""
    configs = [located(one.config, folder) for one, _ in experiments]
    order = turns(len(experiments), execution, seed)
    cells = []
    for (index, cycle), gap in zip(order, gaps(order, execution), strict=True):
        one, budgets = experiments[index]
        cells.append(
            Cell(
                study=study,
                id=f"{one.id}-c{cycle}" if execution.most_cycles > 1 else one.id,
                config=configs[index],
                config_hash=one.config_hash,
                cycle=cycle,
                swept=one.swept,
                budgets=budgets,
                runner=runners[one.config.backend],
                timeout_s=execution.timeout_s,
                silence_timeout_s=execution.silence_timeout_s,
                gap_before_s=gap,
                skip_preflight=execution.skip_preflight,
                line=one.line,
            )
        )
    return tuple(cells)


def runners_of(experiments: Sequence[Experiment], header: Header, overrides: Overrides) -> dict[str, RunnerChoice]:
    """The runner of each backend that an experiment uses."""
    backends = {one.config.backend for one in experiments}
    return {name: choose_runner(name, header.runner, header.runners, overrides) for name in backends}
