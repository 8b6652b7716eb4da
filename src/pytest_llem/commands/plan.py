"""``llem plan``: what a study would run, what is left out and why, and about how long it takes."""

from __future__ import annotations

from typing import Any

from pytest_llem.report.units import duration
from pytest_llem.report.words import plural
from pytest_llem.study.study import Cell, Study

# What an experiment costs besides its windows, s: starting, loading, warming up a small model. A large one costs more.
OVERHEAD_S = 10.0


def seconds(cell: Cell) -> float:
    """The least that a cell takes: its windows, the idle time between them, its gap, and a fixed overhead."""
    measure = cell.config.measure
    return measure.repeats * (measure.min_window_s + 0.5) + cell.gap_before_s + OVERHEAD_S


def plan(study: Study) -> dict[str, Any]:
    """The plan as plain data."""
    return {
        "study": study.name,
        "study_hash": study.study_hash,
        "experiments": len({cell.config_hash for cell in study.cells}),
        "cells": [
            {
                "id": cell.id,
                "backend": cell.config.backend,
                "runner": cell.runner.kind,
                "cycle": cell.cycle,
                "config_hash": cell.config_hash,
                "swept": dict(cell.swept),
                "budgets": [budget.metric for budget in cell.budgets],
            }
            for cell in study.cells
        ],
        "notices": list(study.notices()),
        "seconds_at_least": sum(seconds(cell) for cell in study.cells),
    }


def plan_text(study: Study) -> str:
    """The plan for a person."""
    found = plan(study)
    lines = [
        f"{study.name}: {plural(len(study.cells), 'cell')}, {plural(found['experiments'], 'different experiment')}"
    ]
    if study.description:
        lines.append(study.description)
    for cell in study.cells:
        budgets = f"  ({plural(len(cell.budgets), 'budget')})" if cell.budgets else ""
        lines.append(f"  {cell.study}[{cell.id}]  {cell.config.backend}, {cell.runner.kind}{budgets}")
    lines += [f"note: {notice}" for notice in study.notices()]
    lines.append(f"takes at least {duration(found['seconds_at_least'])}, more for a large model")
    return "\n".join(lines)
